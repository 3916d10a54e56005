// Answers what a new process is most often asked, and keeps what V8 compiled of the code for that: run once, on the
// Node that will serve, when an image is made.
process.env.LOG_LEVEL = 'warn'
const { handler } = await import('./lambda.js')
const { keepCode } = await import('./load.cjs')

const headers = { 'content-type': 'application/json' }
const ask = (httpMethod, path, body) =>
  handler(
    { httpMethod, path, headers, requestContext: {}, body: JSON.stringify(body) },
    { awsRequestId: 'warm' },
  )

const times = { Mean: 100, STD: 10 }
const { models } = JSON.parse((await ask('GET', '/models')).body)
for (const { name } of models) {
  await ask('POST', `/predict/${name}`, { HT: times, PPT: times, RRT: times, RPT: times })
  await ask('POST', `/predict/${name}?top=5`, { HT: times, PPT: times, RRT: times, RPT: times })
}
await ask('POST', '/predict', { Model: 'RF', HT: times, PPT: times, RRT: times, RPT: times })
await ask('POST', '/predict/rf', {})
await ask('GET', '/health')
await ask('GET', '/')
keepCode()

// What the service is measured against: the least that Fastify on Lambda can be.
import awsLambdaFastify from '@fastify/aws-lambda'
import Fastify from 'fastify'

const app = Fastify()
app.all('/*', async () => ({ hello: 'world' }))
// As src/lambda.ts does it: wrap, then make ready.
export const handler = awsLambdaFastify(app, { decorateRequest: false })
await app.ready()

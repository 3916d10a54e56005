// One Fastify route with the service's schemas, and nothing else of it. In the environment: the port, and LOG for
// Fastify's own log of requests.
import Fastify from 'fastify'
import { AJV } from '../../dist/plugins/compilers.js'
import { predictQuery, Recognition } from '../../dist/schemas/recognition.js'
import { SampleBody } from '../../dist/schemas/sample.js'
import { shared } from '../../dist/schemas/shared.js'

const app = Fastify({
  logger: Boolean(process.env.LOG),
  // As the service validates: other settings would be other work.
  ajv: AJV,
})
for (const schema of shared) app.addSchema(schema)
const params = { type: 'object', properties: { model: { type: 'string' } }, required: ['model'] }
const schema = { params, querystring: predictQuery(5), body: SampleBody, response: { 200: Recognition } }
const answer = { user: 84, model: 'constant', version: '000000000000' }
app.post('/predict/:model', { schema }, async () => answer)
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
process.on('disconnect', () => process.exit())

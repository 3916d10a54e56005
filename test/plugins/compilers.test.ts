import Fastify from 'fastify'
import t from 'tap'
import { preferPrecompiled } from '../../src/plugins/compilers.js'

const SHARED = { $id: 'Shared', type: 'string' }
const BODY = { type: 'object', properties: { name: { $ref: 'Shared#' } }, required: ['name'] }
const BODY_ALONE = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
const ANSWER = { type: 'object', properties: { known: { type: 'boolean' } } }

/** An app with one route, and the validator and the serializer that are said to be made of these schemas. */
async function app(made: { shared: string; body: string; answer: string }) {
  const app = Fastify({
    schemaController: {
      compilersFactory: preferPrecompiled({
        shared: made.shared,
        validators: new Map([[made.body, () => true]]),
        serializers: new Map([[made.answer, () => '"precompiled"']]),
      }),
    },
  })
  app.addSchema(SHARED)
  app.post('/', { schema: { body: BODY, response: { 200: ANSWER } } }, async () => ({ known: true, more: 1 }))
  await app.ready()
  return app
}

const made = {
  shared: JSON.stringify({ Shared: SHARED }),
  body: JSON.stringify(BODY),
  answer: JSON.stringify(ANSWER),
}

t.test('what was made of the same schemas ahead of time is used', async (t) => {
  const answer = await (await app(made)).inject({ method: 'POST', url: '/', payload: {} })
  t.equal(answer.body, '"precompiled"')
})

t.test('what was made of others is not: the schemas are compiled', async (t) => {
  for (const others of [
    { ...made, body: '{}', answer: '{}' },
    { ...made, shared: '{}' },
  ]) {
    const other = await app(others)
    const good = await other.inject({ method: 'POST', url: '/', payload: { name: 'a' } })
    t.equal(good.body, '{"known":true}')
    t.equal((await other.inject({ method: 'POST', url: '/', payload: {} })).statusCode, 400)
  }
})

t.test(
  'what is the same is compiled once, and otherwise where options or shared schemas are others',
  async (t) => {
    const validator = (shared: object, options: object, schema: object) => {
      const { buildValidator } = preferPrecompiled()
      const compile = buildValidator(shared, { plugins: [], customOptions: options } as never)
      return compile({ schema } as never)
    }
    const one = validator({}, { coerceTypes: false }, BODY_ALONE)
    t.equal(validator({}, { coerceTypes: false }, structuredClone(BODY_ALONE)), one)
    t.not(validator({}, { coerceTypes: true }, BODY_ALONE), one)
    t.not(validator({ Shared: SHARED }, { coerceTypes: false }, BODY_ALONE), one)
    t.not(validator({}, { coerceTypes: false }, { ...BODY_ALONE, required: [] }), one)
  },
)

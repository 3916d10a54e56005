import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { Claims } from '../access/claims.js'
import type { Config } from '../config.js'
import type { CodedError } from '../errors.js'
import { preferPrecompiled } from './compilers.js'
import { type Described, makeTrue } from './documentation-examples.js'
import type { Models } from './models.js'
import { problemOf } from './problems.js'

/** Swagger UI's own would let the page be framed, and take styles and fonts from anywhere. */
const POLICY =
  "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self' data:; object-src 'none'"

export interface DocumentationOptions {
  config: Config
  /** Registers the routes to describe. */
  api: FastifyPluginAsync
}

/**
 * An app that has the routes only to describe them, and to answer the examples: as OpenAPI 3.1 at /docs/json, and as a page
 * at /docs.
 */
export async function openPage(
  { config, api }: DocumentationOptions,
  models: Models,
): Promise<FastifyInstance> {
  // What is asked here has the form that it is to have. What is answered is written by the schemas, as everywhere: models
  // know more of themselves than they tell.
  const page = Fastify({
    schemaController: { compilersFactory: preferPrecompiled() },
    // It stands in the problem that a line of a stream is answered.
    genReqId: () => 'example',
  })
  page.setValidatorCompiler(() => () => true)
  // For the examples. Nobody asks, so nobody is counted.
  page.decorate('models', models)
  page.decorate('problemOf', (error, request) => problemOf(error as CodedError, request.id))
  page.decorateRequest('caller', '')
  page.decorate('charge', async () => {})
  page.decorate('claims', new Claims({ most: 0 }))
  await page.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'Keystroke recognition',
        version: config.version,
        description:
          'A user types a known text; the press and release times of the keys tell who typed it. ' +
          'All times are milliseconds. Errors are RFC 9457 problem documents with a stable `code`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      // Either, or where none is set neither: which it is, the deployment says.
      security: [{ key: [] }, { token: [] }, {}],
      components: {
        securitySchemes: {
          key: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'Where API_KEYS are set.' },
          token: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'Where JWT_JWKS_URL is set.',
          },
        },
      },
      servers: [{ url: config.basePath || '/' }],
      tags: [
        { name: 'recognition', description: 'Who typed it.' },
        { name: 'enrolment', description: 'Who of those typed it who were enrolled.' },
        { name: 'inference protocol', description: 'The same as servers of models in general offer it.' },
        { name: 'models', description: 'What the models are and how well they do.' },
        { name: 'operation', description: 'Whether the service is well.' },
      ],
    },
    // Components keep the names that the schemas have.
    refResolver: { buildLocalReference: (schema) => schema.$id as string },
  })
  let described = {} as Described
  await page.register(swaggerUi, {
    routePrefix: '/docs',
    indexPrefix: config.basePath,
    staticCSP: POLICY,
    transformSpecification: () => described,
    transformSpecificationClone: false,
  })
  await page.register(api)
  await page.ready()
  described = page.swagger() as unknown as Described
  await makeTrue(described, page)
  return page
}

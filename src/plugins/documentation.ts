import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.js'

/** Describes the routes registered after it as OpenAPI 3.1, and serves that as a page to try it at /docs. */
export const documentation = fp(
  async (app: FastifyInstance, { config }: { config: Config }) => {
    await app.register(swagger, {
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
        servers: [{ url: config.basePath || '/' }],
        tags: [
          { name: 'recognition', description: 'Who typed it.' },
          { name: 'models', description: 'What the models are and how well they do.' },
          { name: 'operation', description: 'Whether the service is well.' },
        ],
      },
      // Components keep the names that the schemas have.
      refResolver: { buildLocalReference: (schema) => schema.$id as string },
    })
    await app.register(swaggerUi, { routePrefix: '/docs', indexPrefix: config.basePath })
  },
  { name: 'documentation' },
)

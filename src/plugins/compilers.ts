import { createRequire } from 'node:module'
import type { FastifyServerOptions } from 'fastify'
import { precompiled } from './precompiled.js'

export type CompilersFactory = Required<
  NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>
>

/** Fastify's defaults turn "48" into 48 and drop what they don't know: here a body is right or refused. */
export const AJV = {
  customOptions: {
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    // A user's id is a number or a string.
    allowUnionTypes: true,
    // OpenAPI's examples with names: nothing to validate.
    keywords: ['x-examples'],
  },
} satisfies FastifyServerOptions['ajv']

type Compile = (route: { schema: unknown }) => unknown
type Build = (shared: unknown, options: unknown) => Compile

const require = createRequire(import.meta.url)

/**
 * Makes validators and serializers of schemas with Fastify's own compilers, unless they were made ahead of time.
 * In a cold start, compiling them and loading the compilers would take as long as opening the models.
 */
export function preferPrecompiled(ready = precompiled): CompilersFactory {
  const prefer =
    (made: ReadonlyMap<string, unknown>, compiler: string): Build =>
    (shared, options) => {
      let compile: Compile | undefined
      const usable = JSON.stringify(shared) === ready.shared
      return (route) => {
        const found = usable && made.get(JSON.stringify(route.schema))
        if (found) return found
        compile ??= (require(compiler)() as Build)(shared, options)
        return compile(route)
      }
    }
  return {
    buildValidator: prefer(ready.validators, '@fastify/ajv-compiler'),
    buildSerializer: prefer(ready.serializers, '@fastify/fast-json-stringify-compiler'),
  } as CompilersFactory
}

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

/** What was compiled in this process, by compiler, shared schemas and options, and then by schema. */
const compiled = new Map<string, Map<string, unknown>>()

/**
 * Makes validators and serializers of schemas with Fastify's own compilers, unless they were made ahead of time.
 * In a cold start, compiling them and loading the compilers would take as long as opening the models. What is compiled
 * is compiled once: nearly every answer of nearly every route may be a problem document.
 */
export function preferPrecompiled(ready = precompiled): CompilersFactory {
  const prefer =
    (made: ReadonlyMap<string, unknown>, compiler: string): Build =>
    (shared, options) => {
      let compile: Compile | undefined
      const usable = JSON.stringify(shared) === ready.shared
      const key = JSON.stringify([compiler, shared, options])
      const own = compiled.get(key) ?? new Map<string, unknown>()
      compiled.set(key, own)
      return (route) => {
        const schema = JSON.stringify(route.schema)
        const found = (usable && made.get(schema)) || own.get(schema)
        if (found) return found
        compile ??= (require(compiler)() as Build)(shared, options)
        const fresh = compile(route)
        own.set(schema, fresh)
        return fresh
      }
    }
  return {
    buildValidator: prefer(ready.validators, '@fastify/ajv-compiler'),
    buildSerializer: prefer(ready.serializers, '@fastify/fast-json-stringify-compiler'),
  } as CompilersFactory
}

import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** A schema by its name, so that OpenAPI has it once as a component, typed as the schema itself is. */
export function reference<T extends TSchema>(schema: T, description?: string) {
  const { $id } = schema as { $id: string }
  return Type.Unsafe<Static<T>>(Type.Ref($id, description === undefined ? {} : { description }))
}

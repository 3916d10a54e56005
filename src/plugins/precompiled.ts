/** Validators and serializers made ahead of time, by the JSON of the schema that they are for. */
export interface Precompiled {
  /** The JSON of the shared schemas that they refer to. */
  shared: string
  validators: ReadonlyMap<string, unknown>
  serializers: ReadonlyMap<string, unknown>
}

/** None, but in a bundle: `deploy/image/bundle.mjs` puts those that it makes in this module's place. */
export const precompiled: Precompiled = { shared: '', validators: new Map(), serializers: new Map() }

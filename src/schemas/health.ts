import { type Static, Type } from '@sinclair/typebox'

const ModelState = Type.Unsafe<'ready' | 'failing' | 'failed'>(
  Type.String({ enum: ['ready', 'failing', 'failed'] }),
)
/** How a model does. */
export type ModelState = Static<typeof ModelState>

/** The answer of the health routes. */
export const Health = Type.Object(
  {
    status: Type.String({
      enum: ['ok', 'overloaded', 'draining', 'failed'],
      description:
        'Whether it can answer: `overloaded` where it refuses some requests for now, `draining` where it is closing, ' +
        '`failed` where a model can not.',
    }),
    version: Type.String({ description: 'The version of the service.' }),
    uptime: Type.Number({ description: 'Seconds since the process started.' }),
    models: Type.Record(Type.String(), ModelState, {
      description:
        'The state of every model: `failing` where its last answer failed, `failed` where it does not answer what it ' +
        'has answered before, either. A process whose models are not all ready does not start.',
    }),
  },
  { $id: 'Health' },
)

export const Liveness = Type.Object({ status: Type.String({ enum: ['ok'] }) }, { description: 'It answers.' })

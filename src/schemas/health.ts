import { Type } from '@sinclair/typebox'

/** The answer of the health routes. */
export const Health = Type.Object(
  {
    status: Type.String({ enum: ['ok', 'draining'] }),
    version: Type.String({ description: 'The version of the service.' }),
    uptime: Type.Number({ description: 'Seconds since the process started.' }),
    models: Type.Record(Type.String(), Type.String({ enum: ['ready'] }), {
      description: 'The state of every model. A process whose models are not all ready does not start.',
    }),
  },
  { $id: 'Health' },
)

export const Liveness = Type.Object({ status: Type.String({ enum: ['ok'] }) }, { description: 'It answers.' })

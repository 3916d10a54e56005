import { Type } from '@sinclair/typebox'

const Link = Type.String({ format: 'uri-reference' })

/** The answer of `GET /`. */
export const Index = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    links: Type.Object({ documentation: Link, demo: Link, health: Link, models: Link }),
  },
  { description: 'What this is.' },
)

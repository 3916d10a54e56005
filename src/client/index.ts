import createFetchClient, { type Client as FetchClient } from 'openapi-fetch'
import type { components, operations, paths } from './schema.js'

export type { components, operations, paths } from './schema.js'

type Schemas = components['schemas']
type Answer<Operation extends 'predict' | 'verify'> =
  operations[Operation]['responses'][200]['content']['application/json']

/** One key going down and up, in milliseconds from any origin. */
export type Keystroke = Schemas['Keystroke']
/** What is sent of a person's typing: a summary, its keystrokes, or those of several attempts. */
export type Sample = Schemas['Summary'] | Schemas['Typing'] | Schemas['Attempts']
/** Who typed it. */
export type Recognition = Answer<'predict'>
/** Whether the claimed user typed it. */
export type Verification = Answer<'verify'>
/** What every error is told as, RFC 9457. */
export type Problem = Schemas['Problem']
/** What one model is, and how well it recognises. */
export type ModelCard = Schemas['ModelCard']

/** The service: `GET`, `POST` and the like, typed by its contract. */
export type Client = FetchClient<paths>

export interface ClientOptions {
  /** Where the service is: `http://localhost:3000`, or with a prefix that a gateway puts before the paths. */
  baseUrl: string
  /** For a service that asks for keys. */
  apiKey?: string | undefined
  /** For a service that asks for tokens. */
  token?: string | undefined
  /** What sends a request; the platform's `fetch` where it is left out. */
  fetch?: ((request: Request) => Promise<Response>) | undefined
}

/**
 * A client of the service at `baseUrl`. Answers come as `data`; a problem that the service answers comes as `error`, and
 * is not thrown.
 */
export function createClient({ baseUrl, apiKey, token, fetch }: ClientOptions): Client {
  return createFetchClient<paths>({
    baseUrl,
    headers: {
      'x-api-key': apiKey,
      authorization: token === undefined ? undefined : `Bearer ${token}`,
    },
    ...(fetch && { fetch }),
  })
}

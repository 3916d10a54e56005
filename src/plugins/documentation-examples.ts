import type { FastifyInstance } from 'fastify'

const JSON_TYPE = 'application/json'
/** What is described by what it answers. */
const READ = ['/', '/models', '/models/{model}']
/** The models that are asked first where an example does not name one: by what it is of, and to be read about. */
const FIRST: Record<string, string> = { summary: 'rf', keystrokes: 'best', attempts: 'best', '': 'rf' }

interface Example {
  summary?: string
  value: unknown
}
interface Content {
  examples?: Record<string, Example>
}
interface Operation {
  parameters?: { name: string; in: string; example?: string }[]
  responses: Record<string, { content: Record<string, Content> }>
}
interface Post extends Operation {
  requestBody: { content: { [JSON_TYPE]: Required<Content> } }
}
export interface Described {
  paths: Record<string, { get?: Operation; post?: Post }>
}
interface Keystroke {
  press: number
  release: number
}
interface Body {
  Model?: string
  user?: unknown
  keystrokes?: Keystroke[]
  attempts?: { keystrokes: Keystroke[] }[]
}

/**
 * Makes the examples of a document true of the models that are served: each is of their text and names one of them, and
 * beside it stands what is answered to it. One that none of them answers is left out.
 * @param app what answers
 */
export async function makeTrue({ paths }: Described, app: FastifyInstance): Promise<void> {
  const { keys, cards } = app.models
  const names = cards.map(({ name }) => name).reverse()
  const inOrder = (first = '') =>
    [first, ...names.filter((name) => name !== first)].filter((name) => names.includes(name))

  for (const [path, { get, post }] of Object.entries(paths)) {
    if (get !== undefined && READ.includes(path)) {
      const [name = ''] = inOrder(FIRST[''])
      const answer = await app.inject(path.replace('{model}', name))
      answered(get).examples = { example1: { value: answer.json() } }
      exemplify(get, name)
    }
    if (post === undefined) continue
    const content = post.requestBody.content[JSON_TYPE]
    const asked: Record<string, Example> = {}
    const answers: Record<string, Example> = {}
    for (const [kind, { summary, value }] of Object.entries(content.examples)) {
      const body = ofText(value as Body, keys)
      const named = path.includes('{model}') ? undefined : body.Model
      for (const name of inOrder(named?.toLowerCase() ?? FIRST[kind])) {
        const url = path.replace('{model}', name)
        const found = await answerTo(app, url, name === named?.toLowerCase() ? body : renamed(body, name))
        if (found === undefined) continue
        asked[kind] = { summary: `${summary}`.replace(/to \w+$/, `to ${name}`), value: found.body }
        answers[kind] = { value: found.answer }
        exemplify(post, name)
        break
      }
    }
    content.examples = asked
    answered(post).examples = answers
  }
}

/** What a body is answered where it can be; with a claim of a user whom the model knows. */
async function answerTo(app: FastifyInstance, url: string, body: Body) {
  const ask = async (body: Body) => {
    const answer = await app.inject({ method: 'POST', url, payload: body })
    return answer.statusCode === 200 ? { body, answer: answer.json() } : undefined
  }
  const found = await ask(body)
  if (found !== undefined || body.user === undefined) return found
  const { user, ...typing } = body
  const likely = await app.inject({ method: 'POST', url: url.replace('verify', 'predict'), payload: typing })
  return ask({ ...body, user: likely.json().user })
}

function renamed({ Model, ...body }: Body, name: string): Body {
  return Model === undefined ? body : { Model: name, ...body }
}

/** The same typed by one whose text has so many keys. */
function ofText(body: Body, keys: number): Body {
  const { keystrokes, attempts } = body
  return {
    ...body,
    ...(keystrokes && { keystrokes: typed(keystrokes, keys) }),
    ...(attempts && {
      attempts: attempts.map(({ keystrokes }) => ({ keystrokes: typed(keystrokes, keys) })),
    }),
  }
}

/** As many keystrokes as there are keys: what is too much left out, what is missing typed like the first ones once more. */
function typed(keystrokes: Keystroke[], keys: number): Keystroke[] {
  const pause = (keystrokes.at(-1) as Keystroke).release
  return Array.from({ length: keys }, (_, i) => {
    const { press, release } = keystrokes[i % keystrokes.length] as Keystroke
    const later = Math.floor(i / keystrokes.length) * pause
    return { press: press + later, release: release + later }
  })
}

/** Names a model where the path has a place for one: the first that has answered. */
function exemplify({ parameters = [] }: Operation, name: string): void {
  const model = parameters.find((parameter) => parameter.in === 'path')
  if (model !== undefined) model.example ??= name
}

function answered({ responses }: Operation): Content {
  return responses['200']?.content[JSON_TYPE] as Content
}

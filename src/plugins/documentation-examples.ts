import type { FastifyInstance } from 'fastify'

/** What is described by what it answers. */
const READ = ['/', '/models', '/models/{model}', '/v2', '/v2/models/{model}']
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
  requestBody: { content: Record<string, Required<Content>> }
}
export interface Described {
  paths: Record<string, { get?: Operation; post?: Post }>
}
interface Keystroke {
  press: number
  release: number
}
interface Typing {
  keystrokes: Keystroke[]
}
/** A tensor of raw keystrokes has a list of pairs for each typing. */
interface Tensor {
  datatype: string
  data: [number, number][][]
}
/** What is known of a body in JSON; a stream is a text. */
type Body = string | { Model?: string; user?: unknown }
interface Question {
  path: string
  type: string
  name: string
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
      const answer = await app.inject(urlOf(app, path, name))
      answered(get).examples = { example1: { value: answer.json() } }
      exemplify(app, get, name)
    }
    if (post === undefined) continue
    const [[type, content]] = Object.entries(post.requestBody.content) as [[string, Required<Content>]]
    const asked: Record<string, Example> = {}
    const answers: Record<string, Example> = {}
    for (const [kind, { summary, value }] of Object.entries(content.examples)) {
      const body = ofText(value, keys) as Body
      const named = typeof body === 'string' ? undefined : body.Model?.toLowerCase()
      for (const name of inOrder(named ?? FIRST[kind])) {
        const found = await answerTo(app, { path, type, name }, name === named ? body : renamed(body, name))
        if (found === undefined) continue
        asked[kind] = { summary: `${summary}`.replace(/to \w+$/, `to ${name}`), value: found.body }
        answers[kind] = { value: found.answer }
        exemplify(app, post, name)
        break
      }
    }
    content.examples = asked
    answered(post).examples = answers
  }
}

/** What a body is answered where it can be; with a claim of a user whom the model knows. */
async function answerTo(app: FastifyInstance, { path, type, name }: Question, body: Body) {
  const url = urlOf(app, path, name)
  const ask = async (body: Body) => {
    const payload = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await app.inject({ method: 'POST', url, headers: { 'content-type': type }, payload })
    if (answer.statusCode !== 200) return undefined
    return { body, answer: typeof body === 'string' ? answer.body : answer.json() }
  }
  const found = await ask(body)
  if (found !== undefined || typeof body === 'string' || body.user === undefined) return found
  const { user, ...typing } = body
  const likely = await app.inject({ method: 'POST', url: url.replace('verify', 'predict'), payload: typing })
  return ask({ ...body, user: likely.json().user })
}

function urlOf(app: FastifyInstance, path: string, name: string): string {
  return path.replace('{model}', name).replace('{version}', () => app.models.card(name).version)
}

function renamed(body: Body, name: string): Body {
  return typeof body === 'string' || body.Model === undefined ? body : { ...body, Model: name }
}

/** The same typed by one whose text has so many keys. */
function ofText(value: unknown, keys: number): unknown {
  if (typeof value === 'string') {
    return value.replace(/^\{.*$/gm, (line) => JSON.stringify(ofText(JSON.parse(line), keys)))
  }
  if (Array.isArray(value)) return value.map((one) => ofText(one, keys))
  if (typeof value !== 'object' || value === null) return value
  const { keystrokes = [], datatype, data = [] } = value as Partial<Typing & Tensor>
  if (keystrokes.length > 0) return { ...value, keystrokes: typed(keystrokes, keys) }
  if (datatype === 'FP64') {
    return { ...value, shape: [data.length, keys, 2], data: data.map((typing) => timesOf(typing, keys)) }
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, ofText(one, keys)]))
}

function timesOf(typing: [number, number][], keys: number): [number, number][] {
  const keystrokes = typing.map(([press, release]) => ({ press, release }))
  return typed(keystrokes, keys).map(({ press, release }) => [press, release])
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

/** Names a model, and its version, where the path has a place for them: the first that has answered. */
function exemplify(app: FastifyInstance, { parameters = [] }: Operation, name: string): void {
  const examples: Record<string, string> = { model: name, version: app.models.card(name).version }
  for (const parameter of parameters.filter((one) => one.in === 'path')) {
    parameter.example ??= examples[parameter.name] as string
  }
}

function answered({ responses }: Operation): Content {
  const [content] = Object.values((responses[200] as Operation['responses'][string]).content)
  return content as Content
}

import type { FastifyInstance } from 'fastify'

/** What is described by what it answers. */
const READ = ['/', '/models', '/models/{model}', '/v2', '/v2/models/{model}']
/** Users of one's own: what is answered depends on who was enrolled. Their examples work as they are, one after the other. */
const OWN = '/texts'
/** What parts of a path may be, beside models and their versions. */
const NAMES: Record<string, string> = { text: 'motto', user: 'anna' }
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
  paths: Record<string, { get?: Operation; post?: Post; put?: Operation; delete?: Operation }>
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

  for (const [path, operations] of Object.entries(paths)) {
    if (path.startsWith(OWN)) {
      for (const operation of Object.values(operations)) exemplify(operation, NAMES)
      continue
    }
    const { get, post } = operations
    if (get !== undefined && READ.includes(path)) {
      const [name = ''] = inOrder(FIRST[''])
      const answer = await app.inject(urlOf(app, path, name))
      answered(get).examples = { example1: { value: answer.json() } }
      exemplify(get, namesOf(app, name))
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
        exemplify(post, namesOf(app, name))
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

/** What stands in a path for a model, and for its version. */
function namesOf(app: FastifyInstance, model: string): Record<string, string> {
  return { model, version: app.models.card(model).version }
}

/** Gives the parts of a path that have a place for one a name: the first that has answered. */
function exemplify({ parameters = [] }: Operation, names: Record<string, string>): void {
  for (const parameter of parameters) {
    const name = parameter.in === 'path' && names[parameter.name]
    if (name) parameter.example ??= name
  }
}

function answered({ responses }: Operation): Content {
  const [content] = Object.values((responses[200] as Operation['responses'][string]).content)
  return content as Content
}

// Makes a Postman collection and a Bruno folder of the examples in openapi.yaml, each with the documented answer as its
// test: node docs/collections/generate.mjs [FOLDER]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const JSON_TYPE = 'application/json'
const LINES_TYPE = 'application/x-ndjson'
/** Whom a request without an example asks. */
const MODEL = 'best'
/** How their scripts say it. */
const POSTMAN = {
  test: 'pm.test',
  expect: 'pm.expect',
  status: 'pm.response.code',
  contentType: "pm.response.headers.get('content-type')",
  json: 'pm.response.json()',
  text: 'pm.response.text()',
  remember: 'pm.collectionVariables.set',
}
const BRUNO = {
  test: 'test',
  expect: 'expect',
  status: 'res.getStatus()',
  contentType: "res.getHeader('content-type')",
  json: 'res.getBody()',
  text: 'res.getBody()',
  remember: 'bru.setVar',
}
const VARIABLES = { baseUrl: 'http://localhost:3000', apiKey: '' }

const here = fileURLToPath(new URL('.', import.meta.url))
const [folder = here] = process.argv.slice(2)
const contract = parse(readFileSync(join(here, '../../openapi.yaml'), 'utf8'))
const { title, description } = contract.info
/** The version of each model. */
const VERSIONS = Object.fromEntries(
  contract.paths['/models'].get.responses['200'].content[JSON_TYPE].examples.example1.value.models.map(
    ({ name, version }) => [name, version],
  ),
)
const requests = Object.entries(contract.paths).flatMap(([path, operations]) =>
  Object.entries(operations).flatMap(([method, operation]) => requestsOf(path, method, operation)),
)
const groups = contract.tags.map(({ name, description }) => ({
  name,
  description,
  requests: inOrder(requests.filter(({ tag }) => tag === name)),
}))

write('postman.json', `${JSON.stringify(postman(), null, 2)}\n`)
rmSync(join(folder, 'bruno'), { recursive: true, force: true })
for (const [path, content] of Object.entries(bruno())) write(join('bruno', path), content)

/** What becomes of users whom nobody has enrolled before, one request after the other: with what is deleted at the end. */
function inOrder(requests) {
  const isLast = ({ method }) => method === 'DELETE'
  const byDepth = (one, other) => other.path.length - one.path.length
  return [...requests.filter((one) => !isLast(one)), ...requests.filter(isLast).sort(byDepth)]
}

/** The requests of an operation: one for each example, or one without a body. */
function requestsOf(path, method, operation) {
  const {
    operationId,
    summary,
    tags: [tag],
    security,
    requestBody,
    responses,
    parameters = [],
  } = operation
  const statuses = Object.keys(responses).filter((status) => status < 300)
  // What is deleted is answered with nothing.
  const [[type, { schema = {}, examples: answers = {} }]] = Object.entries(
    responses[statuses[0]].content ?? { '': {} },
  )
  const [[sent, { examples = { '': {} } }]] = Object.entries(requestBody?.content ?? { [JSON_TYPE]: {} })
  return Object.entries(examples).map(([example, { summary: what, value: body }]) => {
    const answer = (requestBody ? answers[example] : Object.values(answers)[0])?.value
    return {
      tag,
      // As a name of a file it has to be one on every system.
      file: [operationId, example]
        .filter(Boolean)
        .join('-')
        .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      name: `${method.toUpperCase()} ${path}: ${lowerFirst(what ?? summary)}`,
      method: method.toUpperCase(),
      path: path
        .replace('{model}', modelOf(answer))
        .replace('{version}', VERSIONS[modelOf(answer)])
        // Else a variable that an answer before has set.
        .replaceAll(/\{(\w+)\}/g, (place, part) => exampleOf(parameters, part) ?? `{${place}}`),
      open: security?.length === 0,
      sent,
      body: typeof body === 'object' ? JSON.stringify(body, null, 2) : body,
      expected: {
        ...{ statuses, type },
        // What changes from one time to the next has no example.
        ...(answer === undefined ? { keys: resolve(schema).required } : { answer: parsed(type, answer) }),
        ...(operationId === 'enrol' && { remembered: 'sample' }),
      },
    }
  })
}

function exampleOf(parameters, part) {
  return parameters.find(({ name }) => name === part).example
}

/** A documented answer; of lines of JSON all of them, without the ids of requests. */
function parsed(type, answer) {
  if (type !== LINES_TYPE) return answer
  const lines = answer.trim().split('\n')
  return lines.map((line) => ({ ...JSON.parse(line), instance: '' }))
}

function lowerFirst(text) {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

function resolve(schema) {
  return schema.$ref ? contract.components.schemas[schema.$ref.split('/').at(-1)] : schema
}

/** Which model gave a documented answer. */
function modelOf(answer = {}) {
  if (typeof answer === 'string') return modelOf(JSON.parse(answer.split('\n')[0]))
  const { model, model_name, name, predictions: [first] = [] } = answer
  return model ?? model_name ?? name ?? first?.model ?? MODEL
}

/** https://schema.postman.com/json/collection/v2.1.0/docs/index.html */
function postman() {
  const item = ({ name, method, path, open, sent, body, expected }) => ({
    name,
    event: [{ listen: 'test', script: { type: 'text/javascript', exec: tests(expected, POSTMAN) } }],
    request: {
      method,
      ...(open && { auth: { type: 'noauth' } }),
      header: sent === JSON_TYPE ? [] : [{ key: 'content-type', value: sent }],
      ...(body && {
        body: {
          mode: 'raw',
          raw: body,
          options: { raw: { language: sent === JSON_TYPE ? 'json' : 'text' } },
        },
      }),
      url: { raw: `{{baseUrl}}${path}`, host: ['{{baseUrl}}'], path: path.split('/').slice(1) },
    },
    response: [],
  })
  const pair = ([key, value]) => ({ key, value })
  return {
    info: {
      name: title,
      description,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: {
      type: 'apikey',
      apikey: Object.entries({ key: 'x-api-key', value: '{{apiKey}}', in: 'header' }).map(pair),
    },
    variable: Object.entries(VARIABLES).map(pair),
    item: groups.map(({ name, description, requests }) => ({ name, description, item: requests.map(item) })),
  }
}

/** The files of https://docs.usebruno.com/bru-lang/overview, by their paths. */
function bruno() {
  const files = {
    'bruno.json': `${JSON.stringify({ version: '1', name: title, type: 'collection' }, null, 2)}\n`,
    'collection.bru': blocks({
      auth: 'mode: apikey',
      'auth:apikey': ['key: x-api-key', 'value: {{apiKey}}', 'placement: header'],
      docs: description,
    }),
    'environments/local.bru': blocks({
      vars: Object.entries(VARIABLES).map(([name, value]) => `${name}: ${value}`),
    }),
  }
  for (const [i, { name, description, requests }] of groups.entries()) {
    const folder = name.replaceAll(' ', '-')
    files[`${folder}/folder.bru`] = blocks({
      meta: [`name: ${name}`, `seq: ${i + 1}`],
      auth: 'mode: inherit',
      docs: description,
    })
    for (const [i, { file, name: title, method, path, open, sent, body, expected }] of requests.entries()) {
      const mode = sent === JSON_TYPE ? 'json' : 'text'
      files[`${folder}/${file}.bru`] = blocks({
        meta: [`name: ${title}`, 'type: http', `seq: ${i + 1}`],
        [method.toLowerCase()]: [
          `url: {{baseUrl}}${path}`,
          `body: ${body ? mode : 'none'}`,
          `auth: ${open ? 'none' : 'inherit'}`,
        ],
        ...(sent !== JSON_TYPE && { headers: `content-type: ${sent}` }),
        ...(body && { [`body:${mode}`]: body }),
        tests: tests(expected, BRUNO),
      })
    }
  }
  return files
}

/** The tests of an answer, in what both programs write much alike. */
function tests({ statuses, type, answer, keys = [], remembered }, names) {
  const { test, expect, status, contentType, json, text, remember } = names
  const body = type === LINES_TYPE ? linesOf(text) : json
  const holds = (title, value, assertion) => `${test}('${title}', () => ${expect}(${value}).to.${assertion})`
  return [
    holds('it is answered', status, statuses.length > 1 ? `be.oneOf([${statuses}])` : `equal(${statuses})`),
    type && holds(`the answer is ${type}`, contentType, `include('${type}')`),
    answer && holds('the answer is the documented one', body, `eql(${JSON.stringify(answer)})`),
    keys.length > 0 && holds('nothing is missing', body, `include.all.keys(${JSON.stringify(keys)})`),
    remembered && `${remember}('${remembered}', ${json}.added[0])`,
  ].filter(Boolean)
}

/** The lines of an answer, as `parsed` has them. */
function linesOf(text) {
  return `${text}.trim().split('\\n').map((line) => ({ ...JSON.parse(line), instance: '' }))`
}

function blocks(content) {
  return Object.entries(content)
    .map(
      ([name, lines]) =>
        `${name} {\n${[lines].flat().join('\n').replace(/^/gm, '  ').replace(/ +$/gm, '')}\n}\n`,
    )
    .join('\n')
}

function write(path, content) {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
}

/** Fewer are asked for where the service gives no more. */
let top = 5

/** What a guarded service is shown of the caller, in memory only. @type {Record<string, string>} */
let credentials = {}

/** @param {Record<string, string>} shown the headers that say who asks, from now on */
export function showCredentials(shown) {
  credentials = shown
}

/**
 * Asks the service, at a path beside this page's.
 * @param {string} path
 * @param {unknown} [body] without one it is a GET
 * @param {string} [method]
 * @returns {Promise<unknown>} undefined where there is nothing to say
 * @throws {import('./answer.js').Problem}
 */
export async function ask(path, body, method = body === undefined ? 'GET' : 'POST') {
  const headers = {
    ...credentials,
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const request = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
  const response = await fetch(path, request).catch(() => {
    throw { title: 'No answer', detail: 'The service can not be reached.' }
  })
  if (response.status === 204) return undefined
  const answer = await response.json().catch(() => {
    throw {
      title: 'No answer',
      status: response.status,
      detail: 'What answered is not the service: its answers are JSON.',
    }
  })
  if (response.ok) return answer
  throw answer
}

/**
 * Asks who typed it, with as many candidates as there may be.
 * @param {string} path
 * @param {{ keystrokes: import('./recorder.js').Keystroke[] }[]} typings of one person
 * @returns {Promise<import('./answer.js').Answer>}
 * @throws {import('./answer.js').Problem}
 */
export async function askWho(path, typings) {
  const sample = typings.length === 1 ? typings[0] : { attempts: typings }
  for (;;) {
    const query = top > 0 ? `?top=${top}` : ''
    try {
      return /** @type {import('./answer.js').Answer} */ (await ask(`${path}${query}`, sample))
    } catch (problem) {
      const { errors = [] } = /** @type {import('./answer.js').Problem} */ (problem)
      if (top === 0 || !errors.some(({ pointer }) => pointer === '/querystring/top')) throw problem
      // How many there may be is a setting of the service.
      top--
    }
  }
}

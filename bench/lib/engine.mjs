// The Docker engine: its API where time matters, its command line elsewhere.
import { execFile } from 'node:child_process'
import { request } from 'node:http'
import { promisify } from 'node:util'

const socketPath = (process.env.DOCKER_HOST ?? '/var/run/docker.sock').replace(/^unix:\/\//, '')

/** @returns the standard output of `docker ...args` */
export async function docker(...args) {
  const { stdout } = await promisify(execFile)('docker', args, { maxBuffer: 2 ** 26 })
  return stdout.trim()
}

/** @returns the parsed answer of the engine's API */
export function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body && { 'content-type': 'application/json' }
    const sent = request({ socketPath, method, path, headers }, async (answer) => {
      try {
        const text = (await answer.setEncoding('utf8').toArray()).join('')
        const { statusCode } = answer
        if (statusCode >= 400) {
          throw Object.assign(new Error(`docker: ${method} ${path}: ${statusCode} ${text}`), { statusCode })
        }
        resolve(text && JSON.parse(text))
      } catch (error) {
        reject(error)
      }
    })
    sent.on('error', reject).end(body && JSON.stringify(body))
  })
}

/** @returns the standard streams of a container, as one socket */
export function attach(id) {
  return new Promise((resolve, reject) => {
    request({
      socketPath,
      method: 'POST',
      path: `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
    })
      .on('upgrade', (_answer, socket) => resolve(socket))
      .on('response', ({ statusCode }) => reject(new Error(`docker: attach: ${statusCode}`)))
      .on('error', reject)
      .end()
  })
}

/** @returns the text of what an attached container wrote, without the frames it comes in */
export function unframed(chunks) {
  const bytes = Buffer.concat(chunks)
  let text = ''
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at + 4)
    text += bytes.toString('utf8', at + 8, end)
    at = end
  }
  return text
}

/** @returns what the engine knows of an image */
export async function inspectImage(reference) {
  try {
    return await call('GET', `/images/${reference}/json`)
  } catch (error) {
    if (error.statusCode !== 404) throw error
    throw new Error(
      `there is no image ${reference} here; those of the project: docker compose build server lambda`,
    )
  }
}

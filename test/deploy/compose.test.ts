import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config.js'

/**
 * What is the container's own: where the models and the records are, for which its network would have to be open, and
 * the port and processes that its limits are made for.
 */
const OWN = [
  ...[
    'AWS_ENDPOINT_URL',
    'AWS_ENDPOINT_URL_S3',
    'AWS_LAMBDA_FUNCTION_NAME',
    'DATA_DIR',
    'ENROLMENT_TABLE',
    'HOST',
    'MODEL_DIR',
    'MODEL_URI',
  ],
  ...['PORT', 'WORKERS'],
]

t.test('docker compose hands on every setting but those of the container itself', async (t) => {
  const read = new Set<string>()
  loadConfig(
    new Proxy(
      {},
      {
        get(_, name: string) {
          read.add(name)
          return undefined
        },
      },
    ),
  )
  const file = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8')
  const { environment } = parse(file, { merge: true }).services.server
  t.same(Object.keys(environment).sort(), [...read].filter((name) => !OWN.includes(name)).sort())
  for (const [name, value] of Object.entries(environment)) t.equal(value, null, name)
})

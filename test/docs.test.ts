import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { build } from './fixtures/build.js'
import { ROOT } from './fixtures/commands.js'
import { type CodeBlock, codeBlocks, withoutChance } from './fixtures/document.js'
import { TYPISTS } from './fixtures/models.js'
import { openReader } from './fixtures/reader.js'
import { anchors, links, titles } from './fixtures/references.js'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** All documents of the repository, as paths in it; not what is installed. */
function documents(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return /^(\.|node_modules$)/.test(entry.name) ? [] : documents(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

const ALL = documents()
/** Those of which every block is run. */
const PAGES = ALL.filter((path) =>
  /^docs\/|^(README|SECURITY|CONTRIBUTING|src\/client\/README)\.md$/.test(path),
)

/** What runs a block: a test, by its file and title, or the steps of .ci/run that the block is made of. */
type By = [file: string, title: string] | { steps: string[] }

/** Typed below, in the order of the page, in a shell in which curl finds a service that listens. */
const HERE = 'here'
const CONTAINERS = 'test/containers/pages.test.ts'
const LAMBDA: By = [CONTAINERS, 'Lambda on this machine, from its start to its end']
const SIGNED: By = [
  'test/supply-chain.test.ts',
  'the commands of the page make a key and a signature that the service asks for',
]
const PROVISIONED: By = [
  'test/cloud/scaling.test.ts',
  'the commands for provisioned concurrency work, there and back, scaling left out',
]
const HOURS: By = [
  'test/cloud/strict.test.ts',
  'the commands that change it with the hour do, there and back',
]
const FARGATE: By = ['test/cloud/fargate.test.ts', 'the commands of the page work, scaling left out']
const PYTHON: By = [
  'test/clients/python.test.ts',
  'a client for Python is made as the page says, and gets the answers of the pages',
]
const TRAINED: By = ['training/tests/test_page.py', 'test_the_commands_of_the_page_train_and_measure']

/** Who runs the blocks of a page, by what they begin with. What a block prints goes with it. */
const RUN_BY: Record<string, Record<string, typeof HERE | By>> = {
  'README.md': {
    'docker compose up': [CONTAINERS, 'docker compose up serves, as the README says'],
    'import { record }': ['test/browser/recorder.test.ts', 'the lines of the README record and send'],
    curl: HERE,
    'texts=': HERE,
    'npm ci': { steps: ['npm ci', 'npm test'] },
  },
  'docs/quick-start.md': { 'npm ci': { steps: ['npm ci'] }, 'npm start': HERE, curl: HERE },
  'docs/contract.md': { '': HERE },
  'docs/clients.md': {
    'npx @keystroke-recognition/client': [
      'test/clients/package.test.ts',
      'the commands of the pages tell who typed what is in a file',
    ],
    'pip install openapi-python-client': PYTHON,
    'import json': PYTHON,
    newman: ['test/clients/collections.test.ts', 'the commands of the page run both'],
  },
  'docs/training.md': {
    'npm run train -- ': TRAINED,
    'MODEL_DIR=my-models npm start': HERE,
    'user,press-0': ['training/tests/test_page.py', 'test_the_file_of_the_page_can_be_read'],
  },
  'docs/operations.md': {
    'key=': ['test/operations.test.ts', 'the commands that make a key make one that opens'],
  },
  'docs/observability.md': {
    'scrape_configs:': ['test/docs.test.ts', 'what the page has Prometheus scrape is there'],
    OTEL_EXPORTER_OTLP_ENDPOINT: [
      'test/observability.test.ts',
      'the command of the page has the service send traces',
    ],
  },
  'docs/supply-chain.md': {
    'npm run audit': { steps: ['npm run --silent audit'] },
    'npm run sbom': ['test/deploy/image/sbom.test.ts', 'npm run sbom writes what is committed'],
    'docker run': [CONTAINERS, 'the bill of materials is in the image, as the page says'],
    openssl: SIGNED,
    export: SIGNED,
    'MODEL_DIR=my-models npm start': SIGNED,
  },
  'docs/deploying.md': {
    'services:': [CONTAINERS, 'a file of keys is handed on as the page says'],
    'docker run': [CONTAINERS, 'the image serves models of one’s own'],
    'docker compose': LAMBDA,
    curl: LAMBDA,
    'docker build': [CONTAINERS, 'one command builds the image of the function'],
    'deploy/deploy.sh up': ['test/cloud/deploy.test.ts', 'up again changes nothing'],
  },
  'docs/aws-by-hand.md': { '': ['test/cloud/manual.test.ts', '…: …'] },
  'docs/scaling.md': {
    'export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=\nNAME': PROVISIONED,
    'VERSION=': PROVISIONED,
    'TARGET=': HOURS,
    'FUNCTION=': PROVISIONED,
    'export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=\ntag': FARGATE,
    'vpc=': FARGATE,
    'aws cloudformation delete-stack': FARGATE,
  },
  'docs/security/threat-model.md': {
    flowchart: ['test/docs.test.ts', 'every arrow of the diagram is explained, and leads somewhere'],
  },
  'src/client/README.md': {
    import: [
      'test/clients/package.test.ts',
      'installed in an empty folder it has types, asks the service, and has a command',
    ],
    'npx @keystroke-recognition/client': [
      'test/clients/package.test.ts',
      'the commands of the pages tell who typed what is in a file',
    ],
  },
}

interface Command extends CodeBlock {
  /** Who runs it; undefined for nobody. */
  by: typeof HERE | By | undefined
  prints: string | undefined
}

/** The blocks of a page that are run, each with what stands under it as what it prints. */
function commands(page: string): Command[] {
  const found: Command[] = []
  for (const block of codeBlocks(read(page))) {
    const [begins, by] =
      Object.entries(RUN_BY[page] ?? {}).find(([begins]) => block.text.startsWith(begins)) ?? []
    const before = found.at(-1)
    const isAnswer = block.language !== 'sh' && before?.language === 'sh' && before.prints === undefined
    if (isAnswer && !begins) before.prints = block.text
    else found.push({ ...block, by, prints: undefined })
  }
  return found
}

const all = PAGES.flatMap((page) => commands(page).map((command) => ({ page, ...command })))

t.test('every block of every page is run by somebody', async (t) => {
  t.ok(all.length > 90, `${all.length} blocks`)
  for (const { page, line, text, by } of all) t.ok(by, `${page}:${line}: ${text.split('\n')[0]}`)
})

t.test(
  'who is said to run a block is a test that always runs and reads the page, or a step of CI',
  async (t) => {
    const ci = read('.ci/run')
    const stepsOfCi = [...ci.matchAll(/^ *(?:step .*-- )?(npm .*)$/gm)].map(
      ([, command]) => command as string,
    )
    for (const { page, text, by } of all) {
      if (by === undefined || by === HERE) continue
      if ('steps' in by) {
        const typed = text.trim().replaceAll('--silent ', '').split(' && ')
        t.same(
          typed,
          by.steps.map((step) => step.replace('--silent ', '')),
          `${page}: ${text}`,
        )
        for (const step of by.steps)
          t.ok(
            stepsOfCi.some((command) => command.startsWith(step)),
            step,
          )
      } else {
        const [file, title] = by
        t.ok(titles(file).has(title), `${file}: ${title}`)
        t.ok(read(file).includes(basename(page)), `${file} reads ${page}`)
      }
    }
  },
)

t.test('nobody is said to run what there is not', async (t) => {
  for (const [page, by] of Object.entries(RUN_BY)) {
    t.ok(existsSync(join(ROOT, page)), page)
    for (const begins of Object.keys(by))
      t.ok(
        all.some((block) => block.page === page && block.text.startsWith(begins)),
        `${page}: ${begins}`,
      )
  }
})

t.jobs = 2
// The contract waits for a request that is too slow; a busy machine may take its time for the rest.
t.setTimeout(300_000)
for (const page of PAGES) {
  const typed = all.filter((block) => block.page === page && block.by === HERE)
  if (typed.length === 0) continue
  t.test(`${page}, typed block by block`, { buffered: true }, async (t) => {
    const folder = t.testdir()
    for (const name of ['docs', 'test']) symlinkSync(join(ROOT, name), join(folder, name))
    symlinkSync(TYPISTS, join(folder, 'my-models'))
    const { type } = openReader(t, folder)
    if (!/npm start\n$/.test(typed[0]?.text as string)) await type('npm start')
    for (const { line, text, prints } of typed) {
      const printed = await type(text)
      const where = `line ${line}: ${text.split('\n')[0]}`
      if (prints !== undefined) t.equal(withoutChance(printed), withoutChance(prints), where)
      else t.equal(printed, '', where)
    }
  })
}

t.test(
  'the contract has every problem that a caller can meet, in an answer or as one that no curl brings about',
  async (t) => {
    const page = read('docs/contract.md')
    const printed = new Set(page.match(/(?<="code":")KSR_[A-Z_]+/g))
    const told = new Set(page.match(/(?<=^\| `)KSR_[A-Z_]+/gm))
    t.same([...told].sort(), [
      'KSR_CONFLICT',
      'KSR_IDEMPOTENT_REQUEST_PENDING',
      'KSR_INTERNAL',
      'KSR_OVERLOADED',
      'KSR_SEALED',
      'KSR_TIMEOUT',
    ])
    const documented = new Set(read('openapi.yaml').match(/KSR_[A-Z_]+[A-Z]/g))
    t.same([...printed, ...told].sort(), [...documented].sort())
  },
)

/** How curl sends a request of each method. */
const SENDS: Record<string, RegExp> = {
  get: /^(?!.* -(d|X) )/s,
  post: / -d | --data-binary /,
  put: / -X PUT .* -d /s,
  delete: / -X DELETE /,
}

t.test('the contract has every request that is documented', async (t) => {
  const asked = commands('docs/contract.md').map(({ text }) => text)
  for (const [path, operations] of Object.entries<object>(parse(read('openapi.yaml')).paths)) {
    for (const method of Object.keys(operations)) {
      const url = new RegExp(`localhost:3000${path.replaceAll(/\{\w+\}/g, '[\\w$]+')}(?=['?;\\s]|$)`)
      t.ok(
        asked.some((text) => url.test(text) && SENDS[method]?.test(text)),
        `${method} ${path}`,
      )
    }
  }
})

t.test('the examples in files are those of the contract', async (t) => {
  const { paths } = parse(read('openapi.yaml'))
  const examples = (path: string) => paths[path].post.requestBody.content['application/json'].examples
  const file = (name: string) => JSON.parse(read(`docs/examples/${name}.json`))
  t.same(file('typing'), examples('/predict/{model}').keystrokes.value)
  t.same(file('attempts'), examples('/predict/{model}').attempts.value)
  t.same(file('claim'), examples('/verify/{model}').keystrokes.value)
  t.same(file('anna'), examples('/texts/{text}/users/{user}/samples').attempts.value)
  t.same(file('anna-later'), examples('/texts/{text}/identify').keystrokes.value)
  t.same(file('anna-claims'), examples('/texts/{text}/verify').keystrokes.value)
  t.same(file('summary'), { ...examples('/predict/{model}').summary.value, Model: 'RF' })
})

t.test('what the page has Prometheus scrape is there', async (t) => {
  const [block] = codeBlocks(read('docs/observability.md')).filter(({ language }) => language === 'yaml')
  const { scrape_configs } = parse(block?.text as string)
  t.match(scrape_configs, [{ job_name: 'keystroke-recognition', static_configs: [{ targets: Array }] }])
  const [{ metrics_path = '/metrics', static_configs, ...others }] = scrape_configs
  t.same(Object.keys(others), ['job_name'])
  t.same(static_configs, [{ targets: ['localhost:3000'] }])
  const scraped = await build(t).inject(metrics_path)
  t.match(scraped.body, /^keystroke_build_info\{/m)
})

t.test('every arrow of the diagram is explained, and leads somewhere', async (t) => {
  const page = read('docs/security/threat-model.md')
  const [block] = codeBlocks(page).filter(({ language }) => language === 'mermaid')
  const [kind, ...lines] = (block?.text ?? '').trimEnd().split('\n')
  t.equal(kind, 'flowchart LR')
  // A node with its label in one of the shapes of Mermaid, or alone where it has one already.
  const node = String.raw`(\w+)(\(\([^()]+\)\)|\[[^()[\]]+\]|\[\([^()]+\)\])?`
  const named = new Map<string, boolean>()
  const numbers: number[] = []
  for (const line of lines) {
    const [, from = '', label, number = '', to = '', other] =
      new RegExp(`^  ${node} -- "(\\d+)(?:: [^"]+)?" --> ${node}$`).exec(line) ?? []
    t.ok(to, line)
    numbers.push(Number(number))
    for (const [name, shape] of [
      [from, label],
      [to, other],
    ] as const)
      named.set(name, (named.get(name) ?? false) || shape !== undefined)
  }
  t.same(
    numbers,
    Array.from(numbers, (_, i) => i + 1),
  )
  t.same([...named.values()].filter((label) => !label).length, 0, 'every node has a label')
  for (const number of numbers)
    t.match(page.split('```')[2], new RegExp(`\\b${number}(:| and \\d+:)|and ${number}:`))
})

for (const page of ALL) {
  t.test(`${page} leads to documents, headings and commands that there are`, async (t) => {
    const document = read(page)
    for (const { path, anchor } of links(document, page)) {
      t.ok(existsSync(join(ROOT, path)), path)
      if (anchor !== '' && path.endsWith('.md')) t.ok(anchors(read(path)).has(anchor), `${path}#${anchor}`)
    }
    const { scripts } = JSON.parse(read('package.json'))
    for (const [command, script = ''] of document.matchAll(/npm run (?:--silent )?([\w:-]+)/g))
      t.ok(scripts[script], command)
  })
}

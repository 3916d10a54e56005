import { createHash } from 'node:crypto'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openBrowser, openPage, serve } from '../fixtures/browser.js'

t.setTimeout(300_000)

const browser = await openBrowser(t)

/** The requests with a body, as the page calls them, each with its examples and the models that they are for. */
const POSTS = [
  'recognition-predict',
  'recognition-predictNamed',
  'recognition-predictNamedAtRoot',
  'recognition-predictBatch',
  'recognition-verify',
]
/** A sanitiser of Swagger UI tries a style in a document of its own; that it is refused takes nothing from the page. */
const TRIED = /^(Applying inline style violates|style-src-elem inline)/

/** What is written as JSON at a place of the page. */
const shown = async (page: Page, at: string) => JSON.parse(await page.locator(at).first().innerText())

/** Opens a request, ready to be sent. */
async function tryOut(page: Page, operation: string): Promise<string> {
  const at = `#operations-${operation}`
  await page.locator(`${at} .opblock-summary-control`).click()
  await page.locator(`${at} .try-out__btn`).click()
  return at
}

/** Sends it as it stands there. */
async function execute(page: Page, at: string): Promise<number> {
  const answered = page.waitForResponse((answer) => !answer.url().includes('/docs'))
  await page.locator(`${at} .execute`).click()
  const status = (await answered).status()
  await page
    .locator(`${at} .live-responses-table .response-col_status`, { hasText: String(status) })
    .waitFor()
  return status
}

for (const basePath of ['', '/api/v1']) {
  const where = basePath === '' ? 'where nothing stands before its path' : `under ${basePath}`
  t.test(`every example of the page is sent, and answered as the page says, ${where}`, async (t) => {
    const url = await serve(t, { BASE_PATH: basePath })
    const { page, sent, faults } = await openPage(t, browser, `${url}${basePath}/docs`)
    for (const operation of POSTS) {
      const at = await tryOut(page, operation)
      const asked = page.locator(`${at} .opblock-section-request-body .examples-select-element`)
      const names = await asked.locator('option').allInnerTexts()
      t.ok(names.length > 1, names.join())
      for (const name of names) {
        await asked.selectOption({ label: name })
        const example = await asked.inputValue()
        await page.locator(`${at} .response-control-examples select`).selectOption(example)
        const model = page.locator(`${at} tr[data-param-name="model"] input`)
        if (await model.count()) await model.fill(name.replace(/.* to /, ''))
        t.equal(await execute(page, at), 200, `${operation} ${name}`)
        const documented = await shown(
          page,
          `${at} .response[data-code="200"] .model-example .highlight-code code`,
        )
        t.same(await shown(page, `${at} .live-responses-table .highlight-code code`), documented)
      }
    }
    for (const request of sent) t.ok(request.url.startsWith(`${url}${basePath}/`), request.url)
    t.same(
      (await faults()).filter((fault) => !TRIED.test(fault)),
      [],
    )
  })
}

t.test(
  'whoever sends the examples of enrolment one after the other enrols somebody, and recognises them',
  async (t) => {
    const { page } = await openPage(t, browser, `${await serve(t)}/docs`)
    for (const [operation, status] of [
      ['putText', 201],
      ['enrol', 201],
      ['identify', 200],
      ['verifyEnrolled', 200],
      ['describeUser', 200],
      ['deleteUser', 204],
      ['deleteText', 204],
    ] as const)
      t.equal(await execute(page, await tryOut(page, `enrolment-${operation}`)), status, operation)
  },
)

t.test('what the page asks for first is an example that works as it stands', async (t) => {
  const { page } = await openPage(t, browser, `${await serve(t)}/docs`)
  for (const operation of [...POSTS, 'models-describeModel', 'operation-health'])
    t.equal(await execute(page, await tryOut(page, operation)), 200, operation)
})

t.test('a key and a token that are put in are sent, and nothing of them without', async (t) => {
  const API_KEYS = `app:${createHash('sha256').update('secret').digest('hex')}`
  const url = await serve(t, { API_KEYS, PUBLIC_ROUTES: 'docs', MODELS: 'rf' })
  const { page, sent } = await openPage(t, browser, `${url}/docs`)
  const at = await tryOut(page, 'models-listModels')
  t.equal(await execute(page, at), 401)
  const authorize = async (name: string, value: string) => {
    await page.locator('.auth-wrapper > .authorize').click()
    const form = page.locator('.auth-container', { has: page.locator(`h4:has-text("${name}")`) })
    await form.locator('input').fill(value)
    await form.locator('button.authorize').click()
    await page.locator('.btn-done').first().click()
  }
  await authorize('key', 'secret')
  t.equal(await execute(page, at), 200)
  await authorize('token', 'a.b.c')
  t.equal(await execute(page, at), 200)
  const asked = sent.filter(({ url }) => url.endsWith('/models'))
  t.same(
    asked.map(({ headers }) => [headers['x-api-key'], headers.authorization]),
    [
      [undefined, undefined],
      ['secret', undefined],
      ['secret', 'Bearer a.b.c'],
    ],
  )
})

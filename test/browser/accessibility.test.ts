import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openBrowser, openDemo, openEnrolment, openPage, serve, type } from '../fixtures/browser.js'
import { ANNA, typeAt, typingsOf } from '../fixtures/typist.js'

t.setTimeout(300_000)

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const url = await serve(t)
const browser = await openBrowser(t)

const SENTENCE = 'the quick fox'

/** What axe finds, each with where; also what it could not tell. */
async function findings(page: Page): Promise<string[]> {
  // Evaluated, not loaded: the page's policy would stop a script of another origin.
  await page.evaluate(AXE)
  const { violations, incomplete, passes } = await page.evaluate<AxeResults>('axe.run()')
  if (passes.length < 15) return [`only ${passes.length} rules had something to look at`]
  // On what ground text of a picture stands it can't tell: another test looks at its colour.
  const open = incomplete.filter(({ id, nodes }) => {
    return id !== 'color-contrast' || nodes.some(({ html }) => !html.startsWith('<text'))
  })
  return [...violations, ...open].map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target)}`)
}

for (const colorScheme of ['light', 'dark'] as const) {
  t.test(`axe finds nothing in ${colorScheme}, before, while and after one types`, async (t) => {
    const watched = await openDemo(t, browser, url, { colorScheme })
    const { page } = watched
    t.same(await findings(page), [], 'before')
    await page.locator('#text').focus()
    await type(page, 'thx q')
    t.same(await findings(page), [], 'while, with a slip')
    await page.keyboard.press('Backspace')
    await type(page, 'the quick fox')
    await page.locator('#answer-title').waitFor()
    for (const summary of await page.locator('summary').all()) await summary.click()
    t.same(await findings(page), [], 'after, with all opened')
    await page.getByRole('button', { name: 'Start again' }).click()
    await page.locator('#model').selectOption('rf')
    await page.route(/predict/, (route) => route.abort())
    await page.locator('#text').focus()
    await type(page, 'the quick fox')
    await page.locator('#answer-title').waitFor()
    t.same(await findings(page), [], 'refused')
    t.same(
      (await watched.faults()).filter((fault) => !fault.includes('ERR_FAILED')),
      [],
    )
  })

  t.test(`nor in ${colorScheme} where somebody enrols, is guessed, and refused`, async (t) => {
    const watched = await openEnrolment(t, browser, url, { colorScheme })
    const { page } = watched
    const anna = typingsOf(ANNA, 1)
    const typing = anna(SENTENCE.length)
    t.same(await findings(page), [], 'before')
    await page.locator('#who').fill(`anna-${colorScheme}`)
    await page.keyboard.press('Enter')
    for (let i = 1; i < 5; i++) {
      await typeAt(page, SENTENCE, i === 1 ? typing : anna(SENTENCE.length))
      await page.getByText(`${i} of 5 typings are kept`).waitFor()
    }
    t.same(await findings(page), [], 'while')
    await typeAt(page, SENTENCE, typing)
    await page.getByText('KSR_REPLAYED').waitFor()
    t.same(await findings(page), [], 'refused')
    await page.getByRole('button', { name: 'Guess who' }).click()
    await typeAt(page, SENTENCE, anna(SENTENCE.length))
    await page.getByText('Guessed.').waitFor()
    t.same(await findings(page), [], 'after')
    await page.getByRole('button', { name: `Forget anna-${colorScheme}` }).click()
    await page.locator('#nobody').waitFor()
  })

  t.test(`nor in ${colorScheme} where a key is asked for`, async (t) => {
    const at = await serve(t, { API_KEYS: `app:${'0'.repeat(64)}`, PUBLIC_ROUTES: 'demo', MODELS: 'svm' })
    const { page } = await openPage(t, browser, `${at}/demo`, { colorScheme })
    await page.getByText('KSR_UNAUTHORIZED').waitFor()
    t.same(await findings(page), [])
  })
}

t.test('the text of the picture has the colour of the notes, on the same ground', async (t) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await openDemo(t, browser, url, { colorScheme })
    const note = await page.evaluate<string>("getComputedStyle(document.querySelector('.card .note')).color")
    const fills = await page.evaluate(() =>
      [...document.querySelectorAll('#picture text')].map((text) => getComputedStyle(text).fill),
    )
    t.ok(fills.length > 13)
    t.same([...new Set(fills)], [note])
  }
})

t.test('the page is dark where a person likes that', async (t) => {
  const background = async (colorScheme: 'light' | 'dark') => {
    const { page } = await openDemo(t, browser, url, { colorScheme })
    const [red = 0] = ((await page.evaluate('getComputedStyle(document.body).backgroundColor')) as string)
      .match(/\d+/g)
      ?.map(Number) as number[]
    return red
  }
  t.ok((await background('light')) > 200)
  t.ok((await background('dark')) < 60)
})

t.test('nothing moves by itself where a person does not like that', async (t) => {
  const { page } = await openDemo(t, browser, url, { reducedMotion: 'reduce' })
  await page.locator('#text').focus()
  await page.keyboard.down('t')
  const width = () => page.locator('#picture rect').getAttribute('width')
  const first = await width()
  await page.waitForTimeout(300)
  t.equal(await width(), first)
  await page.keyboard.up('t')
  t.not(await width(), first, 'but the key is drawn once it is up')
})

t.test('it fits narrow screens', async (t) => {
  for (const options of [
    { viewport: { width: 320, height: 640 } },
    { viewport: { width: 430, height: 640 } },
  ]) {
    const { page } = await openEnrolment(t, browser, url, options)
    // As long as a name can be.
    await page.locator('#who').fill(String(options.viewport.width).padEnd(64, 'w'))
    await page.keyboard.press('Enter')
    await typeAt(page, SENTENCE, typingsOf(ANNA, options.viewport.width)(SENTENCE.length))
    await page.getByText('1 of 5 typings are kept').waitFor()
    await page.locator('#text').focus()
    await type(page, 'the quick fox')
    await page.locator('#answer-title').waitFor()
    const [wide, shown] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )
    t.ok(wide <= shown, `${wide} of ${shown}`)
    const letter = await page.locator('#picture .letter').first().boundingBox()
    t.ok((letter?.height ?? 0) > 10, 'the letters of the picture can be read')
  }
})

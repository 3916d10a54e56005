import { createHash } from 'node:crypto'
import t from 'tap'
import {
  keystrokesOf,
  openBrowser,
  openDemo,
  openPage,
  serve,
  type,
  type Watched,
} from '../fixtures/browser.js'
import { copyModels, editManifest, TYPISTS } from '../fixtures/models.js'

t.setTimeout(300_000)

interface Typing {
  keystrokes: { press: number; release: number }[]
}

const url = await serve(t)
const browser = await openBrowser(t)
const SENTENCE = 'the quick fox'

const status = ({ page }: Watched) => page.locator('#status').innerText()
const answer = ({ page }: Watched) => page.locator('#answer')

/** Types the sentence of the page, and waits for what is said of it. */
async function typeSentence(watched: Watched, text?: string): Promise<string> {
  const { page } = watched
  await page.locator('#text').focus()
  await type(page, text ?? (await page.locator('#sentence').innerText()))
  await page
    .locator('#status')
    .getByText(/answered/i)
    .waitFor()
  return answer(watched).innerText()
}

t.test('what the page sends is what the browser emitted, to 1 ms', async (t) => {
  const watched = await openDemo(t, browser, url)
  await typeSentence(watched)
  const [body] = watched.posted() as [Typing]
  const expected = keystrokesOf(await watched.emitted())
  t.same(Object.keys(body), ['keystrokes'])
  t.equal(body.keystrokes.length, SENTENCE.length)
  t.equal(expected.length, SENTENCE.length)
  let overlaps = 0
  for (const [i, { press, release }] of body.keystrokes.entries()) {
    const emitted = expected[i] as (typeof expected)[0]
    t.ok(Math.abs(press - emitted.press) < 1, `press ${i}: ${press}, ${emitted.press}`)
    t.ok(Math.abs(release - emitted.release) < 1, `release ${i}: ${release}, ${emitted.release}`)
    if ((body.keystrokes[i + 1]?.press ?? Number.POSITIVE_INFINITY) < release) overlaps++
  }
  t.ok(overlaps > 2, 'keys overlapped')
  t.same(await watched.faults(), [])
})

t.test('no request holds anything of the text or the keys', async (t) => {
  const watched = await openDemo(t, browser, url)
  await typeSentence(watched)
  const posts = watched.sent.filter(({ body }) => body !== null)
  t.equal(posts.length, 1)
  const [post] = posts as [Watched['sent'][0]]
  t.match(post.url, /\/predict\/best\?top=5$/)
  t.match(post.body, /^\{"keystrokes":\[(\{"press":[\d.]+,"release":[\d.]+\},?)+\]\}$/)
  const all = JSON.stringify(watched.sent)
  for (const word of [...SENTENCE.split(' '), 'KeyQ', 'Space']) t.notOk(all.includes(word), word)
  const hosts = new Set(watched.sent.map(({ url }) => new URL(url).origin))
  t.same([...hosts], [url], 'nobody else is asked')
})

t.test('the answer is told in words, with its candidates', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  const response = page.waitForResponse(/predict/)
  const text = await typeSentence(watched)
  const { user, decision, confidence, candidates, quality } = await (await response).json()
  t.equal(
    await page.locator('#answer-title').innerText(),
    decision === 'unknown' ? 'unknown' : `user ${user}`,
  )
  t.match(text, `user ${user}`)
  t.match(text, /110 people/)
  t.match(text, confidence < 0.01 ? 'below 1 %' : `${Math.floor(100 * confidence)} %`)
  t.match(text, '5 in 100 strangers are taken for somebody known')
  t.match(text, '38 in 100 are not recognised')
  t.equal(await page.locator('#answer tbody tr').count(), 5)
  t.match(text, String(candidates[4].user))
  t.equal(await page.locator('#answer li').count(), quality.length)
  t.equal(await page.evaluate('document.activeElement.id'), 'answer-title', 'the focus goes to it')
})

t.test('it says what to expect, and what becomes of the times', async (t) => {
  const { page } = await openDemo(t, browser, url)
  const text = await page.locator('header').innerText()
  t.match(text, 'know 110 people of a data set, who typed another text')
  t.match(text, 'you should come out as unknown')
  t.match(text, 'Only times are sent, to this service and nowhere else, and it does not keep them')
})

t.test('another text is not sent, but asked for again', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  await page.locator('#text').focus()
  await type(page, 'the quick cat')
  t.match(await status(watched), /another text/)
  t.same(watched.posted(), [])
  t.equal(await page.locator('#text').inputValue(), '')
  await typeSentence(watched)
  t.equal(watched.posted().length, 1)
})

t.test('a slip is shown, and Backspace starts over', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  await page.locator('#text').focus()
  await type(page, 'thx')
  t.equal(await page.locator('#sentence .wrong').innerText(), 'e')
  await page.keyboard.press('Backspace')
  t.match(await status(watched), /deleted.*starts over/)
  t.equal(await page.locator('#text').inputValue(), '')
  await typeSentence(watched)
  t.equal((watched.posted() as [Typing])[0].keystrokes.length, SENTENCE.length)
})

t.test('what is pasted, composed, or left in the middle starts over, and it says so', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  const session = await page.context().newCDPSession(page)
  const field = page.locator('#text')
  for (const [spoil, said] of [
    [() => page.keyboard.press('Control+V'), /Pasted text has no times/],
    [
      async () => {
        await session.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 })
        await session.send('Input.insertText', { text: '日' })
      },
      /input method/,
    ],
    [() => session.send('Input.insertText', { text: 'quick' }), /no key that could be timed/],
    [() => field.blur(), /left the field/],
  ] as const) {
    await page.evaluate(() => {
      const other = document.createElement('input')
      other.value = 'pasted'
      document.body.append(other)
      other.select()
      document.execCommand('copy')
      other.remove()
    })
    await field.focus()
    await type(page, 'the')
    await spoil()
    t.match(await status(watched), said)
    t.equal(await field.inputValue(), '')
  }
  t.same(watched.posted(), [])
  await typeSentence(watched)
  t.equal(watched.posted().length, 1)
  t.same(await watched.faults(), [])
})

t.test('the picture grows with the typing, and a table and a sentence tell the same', async (t) => {
  const { page } = await openDemo(t, browser, url)
  await page.locator('#text').focus()
  await page.keyboard.down('t')
  const bar = page.locator('#picture rect')
  t.equal(await bar.count(), 1)
  const width = async () => Number(await bar.getAttribute('width'))
  const first = await width()
  await page.waitForFunction((first) => {
    return Number(document.querySelector('#picture rect')?.getAttribute('width')) > first + 5
  }, first)
  await page.keyboard.down('h')
  await page.keyboard.up('t')
  await page.keyboard.up('h')
  await page.keyboard.press('e')
  t.equal(await bar.count(), 3)
  t.equal(await page.locator('#picture .overlap').count(), 1)
  t.equal(await page.locator('#picture .flight').count(), 1)
  t.match(await page.locator('#picture svg').getAttribute('aria-label'), /^3 keys, held \d+ ms on average/)
  await page.getByText('The times as a table').click()
  t.equal(await page.locator('#times tbody tr').count(), 0, 'the field was left')
})

t.test('the times stand in a table once it is typed', async (t) => {
  const watched = await openDemo(t, browser, url)
  await typeSentence(watched)
  await watched.page.getByText('The times as a table').click()
  const rows = await watched.page.locator('#times tbody tr').allInnerTexts()
  t.equal(rows.length, SENTENCE.length)
  const [{ keystrokes }] = watched.posted() as [Typing]
  const [{ press, release }] = keystrokes as [Typing['keystrokes'][0]]
  t.match(rows[0], new RegExp(`^t\\s+${(release - press).toFixed(0)}\\s`))
})

t.test('where another attempt helps, both typings are sent together', async (t) => {
  const models = copyModels(t)
  // One typing never settles it, two do.
  editManifest(models, ({ models }) => {
    for (const model of models) {
      if (!('decision' in model)) continue
      for (const point of model.decision.identification.points)
        point.threshold = point.attempts === 1 && point.fpir === 0.1 ? -1e9 : 1e9
    }
  })
  const watched = await openDemo(t, browser, await serve(t, { MODEL_DIR: models }))
  const { page } = watched
  await typeSentence(watched)
  await page.getByRole('button', { name: 'Type it once more' }).click()
  t.equal(await page.evaluate('document.activeElement.id'), 'text')
  await typeSentence(watched)
  const [first, second] = watched.posted() as [Typing, { attempts: Typing[] }]
  t.same(Object.keys(second), ['attempts'])
  t.equal(second.attempts.length, 2)
  t.same(second.attempts[0], first)
  t.match(await answer(watched).innerText(), 'By these 2 typings')
  t.equal(await page.getByRole('button', { name: 'Type it once more' }).count(), 0)

  await page.getByRole('button', { name: 'Start again' }).click()
  t.equal(await answer(watched).isVisible(), false)
  await typeSentence(watched)
  t.same(Object.keys(watched.posted()[2] as object), ['keystrokes'], 'the earlier ones are forgotten')
})

t.test('a classifier can be asked, and it is said what that can not tell', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  const options = await page.locator('#model option').allInnerTexts()
  t.equal(options[0], 'best')
  t.same([...options].sort(), ['best', 'rf', 'summary', 'svm', 'templates', 'trees', 'xgb'])
  await page.locator('#model').selectOption('rf')
  t.match(await page.locator('#model-note').innerText(), /always names somebody/)
  const text = await typeSentence(watched)
  t.match(watched.sent.at(-1)?.url, /\/predict\/rf/)
  t.match(await page.locator('#answer-title').innerText(), /^user \d+$/)
  t.match(text, /always names somebody/)
  t.match(text, 'The service leaves scores out')
})

t.test('where no model of raw keystrokes is loaded, the page says so and asks another', async (t) => {
  const watched = await openDemo(t, browser, await serve(t, { MODELS: 'svm', MAX_CANDIDATES: '2' }))
  t.match(await watched.page.locator('#model-note').innerText(), 'No model of raw keystrokes is loaded')
  const text = await typeSentence(watched)
  t.equal(await watched.page.locator('#answer tbody tr').count(), 2, 'as many candidates as there may be')
  t.match(text, /Score: /)
})

t.test('a text of another length has a sentence of its own, and no candidates are none', async (t) => {
  const watched = await openDemo(t, browser, await serve(t, { MODEL_DIR: TYPISTS, MAX_CANDIDATES: '0' }))
  t.equal(await watched.page.locator('#sentence').innerText(), 'tiger')
  await watched.page.locator('#text').focus()
  await type(watched.page, 'tig')
  // Longer than any of the three ever took.
  await watched.page.waitForTimeout(1000)
  const text = await typeSentence(watched, 'er')
  t.match(text, /3 people whom the model knows/)
  t.match(text, 'Some times are unlike any that the model has seen.')
  t.equal(await watched.page.locator('#answer table').count(), 0)
})

t.test('there is a sentence of words for any number of keys', async (t) => {
  const { page } = await openDemo(t, browser, url)
  const sentences = await page.evaluate(async () => {
    const module: string = '/demo/sentence.js'
    const { sentenceOf } = await import(module)
    return Array.from({ length: 59 }, (_, i) => sentenceOf(i + 2) as string)
  })
  for (const [i, sentence] of sentences.entries()) {
    t.equal(sentence.length, i + 2)
    t.match(sentence, /^[a-z]+( [a-z]+)*$/)
  }
})

t.test('a service that asks for a key gets it from the page, which does not keep it', async (t) => {
  const hash = createHash('sha256').update('secret').digest('hex')
  const settings = { API_KEYS: `app:${hash}`, PUBLIC_ROUTES: 'demo' }
  const at = await serve(t, settings)
  const watched = await openPage(t, browser, `${at}/demo`)
  const { page } = watched
  await page.getByText('KSR_UNAUTHORIZED').waitFor()
  t.equal(await page.evaluate('document.activeElement.id'), 'secret', 'one can type it at once')
  await page.keyboard.type('wrong')
  const refused = page.waitForResponse(/models$/)
  await page.keyboard.press('Enter')
  await refused
  await page.locator('#secret').fill('secret')
  await page.getByRole('button', { name: 'Use it' }).click()
  await page.locator('#text:enabled').waitFor()
  const text = await typeSentence(watched)
  t.match(text, /110 people/)
  t.equal(watched.sent.at(-1)?.headers['x-api-key'], 'secret')
  t.same(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'), [0, 0, ''])
  t.same(await watched.faults(), [])
  await page.reload()
  await page.getByText('KSR_UNAUTHORIZED').waitFor()
})

t.test('a token is sent as one', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  await page.getByText('The service asks for a key or a token?').click()
  await page.locator('#kind').selectOption('token')
  await page.locator('#secret').fill('a.b.c')
  const asked = page.waitForRequest(/models$/)
  await page.keyboard.press('Enter')
  t.equal((await asked).headers().authorization, 'Bearer a.b.c')
})

t.test('a refusal is told as it is, and the typing can be done again', async (t) => {
  const at = await serve(t, { RATE_LIMIT: '30' })
  const watched = await openDemo(t, browser, at)
  const { page } = watched
  // The page and its files are requests, too.
  while ((await fetch(`${at}/models`)).status !== 429);
  const text = await typeSentence(watched)
  t.match(text, /^Too Many Requests \(429\)/)
  t.match(text, 'There were more than 30 requests in a minute.')
  t.match(text, /KSR_TOO_MANY_REQUESTS, request [\w-]+/)
  await page.getByRole('button', { name: 'Type it again' }).click()
  t.equal(await page.evaluate('document.activeElement.id'), 'text')
  t.equal(await page.locator('#text').inputValue(), '')
})

t.test('a service that is gone is told as such', async (t) => {
  const watched = await openDemo(t, browser, url)
  await watched.page.route(/predict/, (route) => route.abort())
  t.match(await typeSentence(watched), /can not be reached/)
})

t.test('who has started again meanwhile is shown no answer to what was before', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  let letGo = () => {}
  await page.route(/predict/, async (route) => {
    await new Promise<void>((resolve) => {
      letGo = resolve
    })
    await route.continue()
  })
  await page.locator('#text').focus()
  const asked = page.waitForRequest(/predict/)
  await type(page, SENTENCE)
  await asked
  await page.getByRole('button', { name: 'Start again' }).click()
  const answered = page.waitForResponse(/predict/)
  letGo()
  await (await answered).finished()
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)))
  t.equal(await answer(watched).isVisible(), false)
  t.match(await status(watched), /^Ready/)
})

t.test('it works under BASE_PATH', async (t) => {
  const at = await serve(t, { BASE_PATH: '/api/v1' })
  const watched = await openDemo(t, browser, `${at}/api/v1`)
  await typeSentence(watched)
  for (const { url } of watched.sent) t.match(new URL(url).pathname, /^\/api\/v1\//)
  t.same(await watched.faults(), [])
})

t.test('all of it can be done by the keyboard alone', async (t) => {
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  const focused = () => page.evaluate<string>('document.activeElement.id || document.activeElement.tagName')
  const seen: string[] = []
  for (let i = 0; i < 8; i++) {
    await page.keyboard.press('Tab')
    const at = await focused()
    seen.push(at)
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')
    if (at !== 'BODY') t.equal(outline, 'solid', `${at} shows its focus`)
  }
  t.same(seen.slice(0, 5), ['model', 'text', 'again', 'SUMMARY', 'SUMMARY'])
  await page.locator('#model').focus()
  await page.keyboard.press('Tab')
  await type(page, SENTENCE)
  await page.locator('#answer-title').waitFor()
  t.equal(await focused(), 'answer-title')
  for (let i = 0; i < 10 && (await focused()) !== 'again'; i++) await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  t.equal(await focused(), 'text')
  t.match(await status(watched), /^Ready/)
})

import { createHash } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { openBrowser, openDemo, openEnrolment, serve, type Watched } from '../fixtures/browser.js'
import { unsettledModels } from '../fixtures/models.js'
import { ANNA, BEN, type Rhythm, STRANGER, typeAt, typingsOf } from '../fixtures/typist.js'

t.setTimeout(300_000)

const browser: Browser = await openBrowser(t)
const SENTENCE = 'the quick fox'
const TEXT = 'texts/demo-page'

type Typing = (page: Page, text: string) => Promise<void>

/** Somebody who types with a rhythm. */
function typist(rhythm: Rhythm, seed: number): Typing {
  const typing = typingsOf(rhythm, seed)
  return (page, text) => typeAt(page, text, typing(text.length))
}

const anna = typist(ANNA, 1)
const ben = typist(BEN, 2)
const stranger = typist(STRANGER, 3)

const status = ({ page }: Watched) => page.locator('#own-status')
const said = (watched: Watched, what: RegExp) => status(watched).getByText(what).waitFor()
const listed = ({ page }: Watched) => page.locator('#enrolled li').allInnerTexts()

/** Enrols somebody by so many typings. */
async function enrol(watched: Watched, name: string, typed: Typing, typings = 5): Promise<void> {
  const { page } = watched
  await page.locator('#who').fill(name)
  await page.keyboard.press('Enter')
  for (let i = 1; i <= typings; i++) {
    await said(watched, i === 1 ? /^Ready/ : new RegExp(`^${i - 1} of 5 typings are kept`))
    await typed(page, SENTENCE)
  }
  await said(
    watched,
    typings === 5 ? new RegExp(`^${name} is enrolled`) : new RegExp(`^${typings} of 5 typings are kept`),
  )
}

/** Has somebody type once, and the service say who it was. */
async function guess(watched: Watched, typed: Typing, button = 'Guess who'): Promise<string> {
  const { page } = watched
  await page.getByRole('button', { name: button }).click()
  await said(watched, /^Ready/)
  await typed(page, SENTENCE)
  await said(watched, /^Guessed/)
  return page.locator('#guess-title').innerText()
}

t.test('two people enrol, and are told from each other and from a stranger', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  const { page } = watched
  t.equal(await page.locator('#guess').isDisabled(), true, 'there is nobody yet')
  await enrol(watched, 'anna', anna)
  await enrol(watched, 'ben', ben)
  t.match(await listed(watched), ['anna: 5 typings, can be recognised', 'ben: 5 typings, can be recognised'])
  for (let i = 0; i < 2; i++) {
    t.equal(await guess(watched, anna), 'anna')
    t.match(await page.locator('#guessed').innerText(), 'By this typing it was anna.')
    t.equal(await guess(watched, ben), 'ben')
    t.equal(await guess(watched, stranger), 'unknown')
    t.match(await page.locator('#guessed').innerText(), /nobody who is enrolled.* types the most like it/)
  }
  t.equal(await page.locator('#guessed tbody tr').count(), 2)
  t.match(await page.locator('#guessed').innerText(), '5 in 100 strangers are taken for somebody known')
  t.equal(await page.evaluate('document.activeElement.id'), 'guess-title', 'the focus goes to it')
  t.same(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'), [0, 0, ''])
  t.same(
    (await watched.faults()).filter((fault) => !fault.includes('404')),
    [],
  )

  await page.getByRole('button', { name: 'Forget ben' }).click()
  await said(watched, /^ben is forgotten/)
  t.match(await listed(watched), ['anna: 5 typings, can be recognised'])
  t.equal(await page.evaluate('document.activeElement.id'), 'who', 'the focus is not lost')
  t.equal(await guess(watched, ben), 'unknown')
  await page.reload()
  await page.getByRole('button', { name: 'Enrol and guess' }).click()
  await page.locator('#enrolled li').waitFor()
  t.match(await listed(watched), ['anna: 5 typings, can be recognised'], 'the service has kept it')

  await page.getByRole('button', { name: 'Forget all' }).click()
  await said(watched, /^All are forgotten/)
  t.same(await listed(watched), [])
  t.equal(await page.locator('#guess').isDisabled(), true)
  t.equal((await fetch(`${new URL(page.url()).origin}/${TEXT}`)).status, 404)
})

t.test('what is enrolled is what was typed, and nothing of the text or the keys', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  await enrol(watched, 'anna', anna, 1)
  const posts = watched.sent.filter(({ body }) => body !== null)
  t.match(posts[0]?.url, /\/texts\/demo-page$/)
  t.same(JSON.parse(posts[0]?.body as string), { keys: SENTENCE.length, prior: 'general' })
  t.match(posts[1]?.url, /\/texts\/demo-page\/users\/anna\/samples$/)
  t.match(posts[1]?.body, /^\{"keystrokes":\[(\{"press":[\d.]+,"release":[\d.]+\},?){13}\]\}$/)
  const all = JSON.stringify(watched.sent)
  for (const word of [...SENTENCE.split(' '), 'KeyQ', 'Space']) t.notOk(all.includes(word), word)
})

t.test('a visit makes nothing, and says what would be kept', async (t) => {
  const watched = await openDemo(t, browser, await serve(t))
  t.same(
    watched.sent.filter(({ url }) => url.includes('/texts')),
    [],
  )
  t.match(await watched.page.locator('#own').innerText(), /What you enrol is kept, sealed/)
  t.equal(await watched.page.locator('#who').isVisible(), false)
})

t.test('a slip starts a typing over, and is not enrolled', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  const { page } = watched
  await enrol(watched, 'anna', anna, 1)
  await anna(page, 'thx')
  t.equal(await page.locator('#own-sentence .wrong').innerText(), 'e')
  await page.keyboard.press('Backspace')
  await said(watched, /deleted.*starts over/)
  await anna(page, 'the quick cat')
  await said(watched, /another text/)
  t.match(await listed(watched), ['anna: 1 typing, too few to be recognised'])
  t.equal(await page.locator('#own-task').innerText(), 'anna, typing 2 of 5')
  await anna(page, SENTENCE)
  await said(watched, /^2 of 5 typings are kept/)
})

t.test('whoever stopped in the middle goes on there, and a full name is not taken twice', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  const { page } = watched
  await enrol(watched, 'anna', anna, 2)
  await page.locator('#who').fill('anna')
  await page.keyboard.press('Enter')
  t.equal(await page.locator('#own-task').innerText(), 'anna, typing 3 of 5')
  for (const kept of [/^3 of 5/, /^4 of 5/, /^anna is enrolled/]) {
    await anna(page, SENTENCE)
    await said(watched, kept)
  }
  t.equal(await page.evaluate('document.activeElement.id'), 'guess')
  await page.locator('#who').fill('anna')
  await page.getByRole('button', { name: 'Enrol', exact: true }).click()
  await said(watched, /^There is one of the name anna already/)
  await page.locator('#who').fill('an na')
  await page.keyboard.press('Enter')
  t.equal(await page.evaluate('document.querySelector("#who").validity.patternMismatch'), true)
})

t.test('the same times again are told as a replay, and can be typed anew', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  const { page } = watched
  const rhythm = { held: [90, 110, 70], next: [150, 180, 120, 210] }
  await enrol(watched, 'anna', typist(rhythm, 4), 1)
  await typist(rhythm, 4)(page, SENTENCE)
  await page.getByText('KSR_REPLAYED').waitFor()
  t.match(await page.locator('#guessed').innerText(), 'nobody types twice alike')
  await page.getByRole('button', { name: 'Type it again' }).click()
  t.equal(await page.evaluate('document.activeElement.id'), 'own-text')
  await typist(rhythm, 5)(page, SENTENCE)
  await said(watched, /^2 of 5 typings are kept/)
})

t.test('what is odd about a typing is said where it is kept', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  await enrol(watched, 'anna', typist({ held: [2], next: [150, 180, 120, 210] }, 6), 1)
  t.match(await status(watched).innerText(), 'A key was held for no time')
})

t.test('where another typing helps, both are weighed together', async (t) => {
  // One typing never settles it, two do.
  const url = await serve(t, { MODEL_DIR: unsettledModels(t) })
  const watched = await openEnrolment(t, browser, url)
  const { page } = watched
  await enrol(watched, 'anna', anna)
  t.equal(await guess(watched, anna), 'anna')
  t.match(await status(watched).innerText(), 'may tell more')
  t.equal(await guess(watched, anna, 'Type it once more'), 'anna')
  t.match(await page.locator('#guessed').innerText(), 'By these 2 typings')
  const [first, second] = watched.posted().slice(-2) as [object, { attempts: object[] }]
  t.same(second.attempts[0], first)
  t.equal(second.attempts.length, 2)
  t.equal(await page.getByRole('button', { name: 'Type it once more' }).count(), 0)
})

t.test('who was forgotten meanwhile is not shown, and one is told where nobody is left', async (t) => {
  const url = await serve(t)
  const watched = await openEnrolment(t, browser, url)
  const { page } = watched
  await enrol(watched, 'anna', anna)
  await fetch(`${url}/${TEXT}/users/anna`, { method: 'DELETE' })
  await page.getByRole('button', { name: 'Guess who' }).click()
  await anna(page, SENTENCE)
  await page.getByText('KSR_NOBODY_ENROLLED').waitFor()
  await page.getByRole('button', { name: 'Forget anna' }).click()
  await said(watched, /^anna is forgotten/)
  t.same(await listed(watched), [])
  await page.route(/texts/, (route) => route.abort())
  await page.locator('#who').fill('anna')
  await page.keyboard.press('Enter')
  await anna(page, SENTENCE)
  await page.getByText('can not be reached').waitFor()
})

t.test('an answer to what nobody waits for any more is not shown', async (t) => {
  const watched = await openEnrolment(t, browser, await serve(t))
  const { page } = watched
  await enrol(watched, 'anna', anna)
  let letGo = () => {}
  await page.route(/identify/, async (route) => {
    await new Promise<void>((resolve) => {
      letGo = resolve
    })
    await route.continue()
  })
  const asked = page.waitForRequest(/identify/)
  await page.getByRole('button', { name: 'Guess who' }).click()
  await anna(page, SENTENCE)
  await asked
  await page.locator('#who').fill('ben')
  await page.keyboard.press('Enter')
  const answered = page.waitForResponse(/identify/)
  letGo()
  await (await answered).finished()
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)))
  t.equal(await page.locator('#guessed').isVisible(), false)
  t.match(await status(watched).innerText(), /^Ready/)
})

t.test('a service that keeps no users says so, and has nothing else to show', async (t) => {
  // A table is shared by several, and so its key has to be.
  const watched = await openDemo(t, browser, await serve(t, { ENROLMENT_TABLE: 'users' }))
  const { page } = watched
  await page.getByRole('button', { name: 'Enrol and guess' }).click()
  await said(watched, /The service keeps no users: ENROLMENT_KEYS is not set/)
  for (const id of ['begin', 'who', 'own-text', 'guess', 'forget-all'])
    t.equal(await page.locator(`#${id}`).isVisible(), false, id)
})

t.test('a service that asks for a key gets it, and lists whom this caller has enrolled', async (t) => {
  const keys = ['secret', 'other'].map((key) => `${key}:${createHash('sha256').update(key).digest('hex')}`)
  const url = await serve(t, { API_KEYS: keys.join(), PUBLIC_ROUTES: 'demo,models' })
  const watched = await openDemo(t, browser, url)
  const { page } = watched
  await page.getByRole('button', { name: 'Enrol and guess' }).click()
  await page.locator('#secret:focus').waitFor()
  await page.keyboard.type('secret')
  await page.keyboard.press('Enter')
  await page.locator('#begin:focus').waitFor()
  await page.keyboard.press('Enter')
  await enrol(watched, 'anna', anna, 1)
  t.match(await listed(watched), ['anna: 1 typing'])
  await page.getByText('The service asks for a key or a token?').click()
  await page.locator('#secret').fill('other')
  await page.getByRole('button', { name: 'Use it' }).click()
  await page.locator('#nobody').waitFor()
  t.same(await listed(watched), [])
})

t.test('all of it can be done by the keyboard alone, under BASE_PATH', async (t) => {
  const url = await serve(t, { BASE_PATH: '/api/v1' })
  const watched = await openDemo(t, browser, `${url}/api/v1`)
  const { page } = watched
  const focused = () => page.evaluate<string>('document.activeElement.id || document.activeElement.tagName')
  const goTo = async (id: string, key = 'Tab') => {
    for (let i = 0; i < 20 && (await focused()) !== id; i++) await page.keyboard.press(key)
    t.equal(await focused(), id)
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')
    t.equal(outline, 'solid', `${id} shows its focus`)
  }
  await goTo('begin')
  await page.keyboard.press('Enter')
  await page.locator('#who:focus').waitFor()
  await page.keyboard.type('anna')
  await page.keyboard.press('Enter')
  for (const kept of [/^1 of 5/, /^2 of 5/, /^3 of 5/, /^4 of 5/, /^anna is enrolled/]) {
    t.equal(await focused(), 'own-text')
    await anna(page, SENTENCE)
    await said(watched, kept)
  }
  t.equal(await focused(), 'guess')
  await page.keyboard.press('Enter')
  await anna(page, SENTENCE)
  await said(watched, /^Guessed/)
  t.equal(await page.locator('#guess-title').innerText(), 'anna')
  await goTo('forget-all')
  await page.keyboard.press('Enter')
  await said(watched, /^All are forgotten/)
  for (const { url } of watched.sent) t.match(new URL(url).pathname, /^\/api\/v1\//)
})

import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import t from 'tap'
import { keystrokesOf, openBrowser, openDemo, serve, type } from '../fixtures/browser.js'

t.setTimeout(300_000)

const url = await serve(t, { MODELS: 'summary' })
const browser = await openBrowser(t)

type Call = ['complete', { press: number; release: number }[]] | ['restart', string] | ['progress', number]

/** A field of its own that records so many keys, empties itself as a client's would, and notes every call. */
async function recording(page: Page, keys: number, kind: 'input' | 'textarea' | 'email' = 'input') {
  await page.evaluate(
    async ({ keys, kind }) => {
      const module: string = '/demo/recorder.js'
      const { record } = await import(module)
      const calls: unknown[] = []
      const field = document.createElement(kind === 'email' ? 'input' : kind)
      if (kind === 'email') (field as HTMLInputElement).type = 'email'
      document.body.prepend(field)
      field.focus()
      const recorder = record(field, {
        keys,
        onComplete: (keystrokes: unknown) => calls.push(['complete', keystrokes]),
        onRestart: (reason: string) => {
          calls.push(['restart', reason])
          field.value = ''
        },
      })
      Object.assign(window, { calls, field, recorder })
    },
    { keys, kind },
  )
  return {
    calls: () => page.evaluate<Call[]>('calls'),
    reasons: async () =>
      (await page.evaluate<Call[]>('calls')).flatMap(([name, reason]) =>
        name === 'restart' ? [reason] : [],
      ),
    completed: async () =>
      (await page.evaluate<Call[]>('calls')).filter(([name]) => name === 'complete').length,
    text: () => page.evaluate<string>('field.value'),
    do: (script: string) => page.evaluate(script),
  }
}

/** A page in which nothing was typed yet, with a field that records. */
async function fresh(t: Parameters<typeof openDemo>[0], keys: number, kind?: 'input' | 'textarea' | 'email') {
  const watched = await openDemo(t, browser, url)
  return { ...watched, field: await recording(watched.page, keys, kind) }
}

t.test('keys that overlap are each recorded from press to release, whichever comes up first', async (t) => {
  const { page, emitted, field } = await fresh(t, 3)
  for (const key of ['a', 'b']) await page.keyboard.down(key)
  await page.keyboard.up('b')
  await page.keyboard.down('c')
  t.equal(await field.completed(), 0)
  for (const key of ['a', 'c']) await page.keyboard.up(key)
  const [[name, keystrokes]] = (await field.calls()) as [Call]
  t.equal(name, 'complete')
  const expected = keystrokesOf(await emitted())
  t.equal(expected.length, 3)
  for (const [i, { press, release }] of (keystrokes as { press: number; release: number }[]).entries()) {
    t.ok(Math.abs(press - (expected[i]?.press ?? Number.NaN)) < 0.01, `${press}`)
    t.ok(Math.abs(release - (expected[i]?.release ?? Number.NaN)) < 0.01, `${release}`)
  }
})

t.test('it is complete only once all keys are up, and hears nothing more until it is told to', async (t) => {
  const { page, field } = await fresh(t, 2)
  for (const key of ['a', 'b']) await page.keyboard.down(key)
  await page.keyboard.up('a')
  t.equal(await field.completed(), 0)
  // One key too many, before the last is up.
  await page.keyboard.press('c')
  await page.keyboard.up('b')
  t.match(await field.calls(), [['complete', { length: 2 }]])
  await type(page, 'defg')
  await page.keyboard.press('Backspace')
  await page.keyboard.press('Home')
  await type(page, 'x')
  t.same(await field.reasons(), [])
  t.equal(await field.text(), 'xabcdef', 'the field is as any other')
  t.equal(await field.completed(), 1)
  await field.do("field.value = ''; recorder.restart()")
  await type(page, 'hi')
  t.equal(await field.completed(), 2)
  await field.do("field.value = ''; recorder.restart(); recorder.stop()")
  await type(page, 'hi')
  t.equal(await field.completed(), 2, 'stopped')
})

t.test('a key that is held is one keystroke and writes once', async (t) => {
  const { page, emitted, field } = await fresh(t, 2)
  for (let i = 0; i < 4; i++) await page.keyboard.down('a')
  await page.keyboard.up('a')
  await page.keyboard.press('b')
  t.ok((await emitted()).filter(({ repeat }) => repeat).length >= 3)
  t.equal(await field.text(), 'ab')
  t.equal(await field.completed(), 1)
})

t.test('keys that write nothing are no keystrokes', async (t) => {
  const { page, field } = await fresh(t, 3)
  await page.keyboard.press('CapsLock')
  await page.keyboard.press('CapsLock')
  await page.keyboard.down('Shift')
  await page.keyboard.press('A')
  await page.keyboard.up('Shift')
  for (const key of ['Control', 'Alt', 'Meta', 'Escape', 'F2', 'Enter', 'AltGraph'])
    await page.keyboard.press(key)
  await page.keyboard.press('b')
  // A shortcut that changes nothing.
  await page.keyboard.press('Control+KeyC')
  await page.keyboard.press('Meta+KeyM')
  t.same(await field.calls(), [])
  await page.keyboard.press('c')
  t.equal(await field.text(), 'Abc')
  t.equal(await field.completed(), 1)
})

t.test('characters that AltGr makes are recorded, although it is Ctrl as well on some systems', async (t) => {
  const { page, field } = await fresh(t, 1)
  await page.evaluate(() => {
    const field = document.activeElement as HTMLInputElement
    const init = { code: 'KeyQ', key: '@', ctrlKey: true, modifierAltGraph: true, bubbles: true }
    field.dispatchEvent(new KeyboardEvent('keydown', init))
    field.dispatchEvent(new KeyboardEvent('keyup', init))
  })
  t.equal(await field.completed(), 1)
})

t.test('to delete something is to start over', async (t) => {
  for (const [key, before] of [
    ['Backspace', ''],
    ['Delete', 'Home'],
    ['Control+X', 'Control+A'],
  ] as const) {
    const { page, field } = await fresh(t, 3)
    await type(page, 'ab')
    if (before) await page.keyboard.press(before)
    await page.keyboard.press(key)
    t.same(await field.reasons(), ['deleted'], key)
    t.equal(await field.text(), '')
    await type(page, 'abc')
    t.equal(await field.completed(), 1, key)
  }
})

t.test('nothing is deleted, nothing is lost', async (t) => {
  const { page, field } = await fresh(t, 2)
  await page.keyboard.press('Backspace')
  await type(page, 'a')
  await page.keyboard.press('Delete')
  await type(page, 'b')
  t.same(await field.reasons(), [])
  t.equal(await field.completed(), 1)
})

t.test('to write elsewhere than at the end is to start over, and writes nothing', async (t) => {
  for (const keys of [['ArrowLeft'], ['Home'], ['Control+A'], ['Shift+ArrowLeft']]) {
    const { page, field } = await fresh(t, 3)
    await type(page, 'ab')
    for (const key of keys) await page.keyboard.press(key)
    await page.keyboard.press('c')
    t.same(await field.reasons(), ['moved'], keys.join())
    t.equal(await field.text(), '')
    await type(page, 'abc')
    t.equal(await field.completed(), 1)
  }
})

t.test('a cursor that comes back to the end in time has moved nothing', async (t) => {
  const { page, field } = await fresh(t, 2)
  await type(page, 'a')
  for (const key of ['ArrowLeft', 'ArrowRight']) await page.keyboard.press(key)
  await type(page, 'b')
  t.equal(await field.completed(), 1)
})

t.test('pasted and dropped text has no times', async (t) => {
  const { page, field } = await fresh(t, 3)
  await page.evaluate(() => {
    const other = document.createElement('input')
    other.id = 'other'
    other.value = 'xy'
    document.body.prepend(other)
    other.select()
  })
  await page.keyboard.press('Control+C')
  await page.evaluate('field.focus()')
  await page.keyboard.press('Control+V')
  t.same(await field.reasons(), ['pasted'], 'before the first key')
  await type(page, 'a')
  await page.keyboard.press('Control+V')
  t.same(await field.reasons(), ['pasted', 'pasted'])
  t.equal(await field.text(), '')
  await type(page, 'a')
  await page.evaluate(() => {
    const data = new DataTransfer()
    data.setData('text/plain', 'xy')
    const field = document.activeElement as HTMLInputElement
    field.value += 'xy'
    field.dispatchEvent(new InputEvent('input', { inputType: 'insertFromDrop', bubbles: true }))
  })
  t.same(await field.reasons(), ['pasted', 'pasted', 'pasted'])
  await type(page, 'abc')
  t.equal(await field.completed(), 1)
})

t.test('what an input method composes can not be timed', async (t) => {
  const { page, field } = await fresh(t, 2)
  const session = await page.context().newCDPSession(page)
  const compose = async (text: string) => {
    const at = { selectionStart: text.length, selectionEnd: text.length }
    await session.send('Input.imeSetComposition', { text, ...at })
  }
  await type(page, 'a')
  await compose('に')
  t.same(await field.reasons(), ['composed'])
  await compose('にほ')
  await session.send('Input.insertText', { text: '日本' })
  const reasons = await field.reasons()
  t.ok(reasons.length >= 2 && reasons.every((reason) => reason === 'composed'), reasons.join())
  t.equal(await field.text(), '', 'told once there is something to empty')
  await type(page, 'ab')
  t.equal(await field.completed(), 1)
})

t.test('keys of an input method and dead keys are none that one types', async (t) => {
  const { page, field } = await fresh(t, 2)
  const press = (init: object) =>
    page.evaluate((init) => {
      const field = document.activeElement as HTMLInputElement
      field.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, ...init }))
      field.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true, ...init }))
    }, init)
  await press({ key: 'Process', code: 'KeyN', keyCode: 229 })
  await press({ key: 'n', code: 'KeyN', isComposing: true })
  await press({ key: 'n', code: 'KeyN', keyCode: 229 })
  await press({ key: 'Dead', code: 'BracketLeft' })
  t.same(await field.calls(), [])
  await type(page, 'a')
  await press({ key: 'Dead', code: 'BracketLeft' })
  t.same(await field.reasons(), ['composed'])
})

t.test('text that comes from no key that can be timed starts over', async (t) => {
  const { page, field } = await fresh(t, 2)
  const session = await page.context().newCDPSession(page)
  await type(page, 'a')
  // As dictation and the pickers of emojis write.
  await session.send('Input.insertText', { text: 'b' })
  t.same(await field.reasons(), ['untimed'])
  // As keyboards on a screen do.
  await type(page, 'a')
  await session.send('Input.dispatchKeyEvent', { type: 'keyDown', key: 'b', text: 'b' })
  await session.send('Input.dispatchKeyEvent', { type: 'keyUp', key: 'b' })
  t.same(await field.reasons(), ['untimed', 'untimed'])
  t.equal(await field.text(), '')
  await type(page, 'ab')
  t.equal(await field.completed(), 1)
})

t.test('to undo is to start over', async (t) => {
  const { page, field } = await fresh(t, 3)
  await type(page, 'ab')
  await page.keyboard.press('Control+Z')
  const [reason] = await field.reasons()
  t.equal(reason, 'untimed')
})

t.test('to leave the field is to start over, whether a key is down or not', async (t) => {
  for (const held of [true, false]) {
    const { page, field } = await fresh(t, 2)
    await type(page, 'a')
    if (held) await page.keyboard.down('b')
    await page.evaluate('field.blur()')
    if (held) await page.keyboard.up('b')
    t.same(await field.reasons(), ['left'])
    await page.evaluate('field.focus()')
    await type(page, 'ab')
    t.equal(await field.completed(), 1)
  }
})

t.test('leaving a field in which nothing was typed is nothing to tell', async (t) => {
  const { page, field } = await fresh(t, 2)
  await page.keyboard.press('Tab')
  t.same(await field.calls(), [])
})

t.test('a key that comes up without having gone down here is none', async (t) => {
  const { page, field } = await fresh(t, 1)
  await page.evaluate('field.blur()')
  await page.keyboard.down('a')
  await page.evaluate('field.focus()')
  await page.keyboard.up('a')
  t.same(await field.calls(), [])
  await type(page, 'a')
  t.equal(await field.completed(), 1)
})

t.test('a key that goes down twice has come up unseen, and starts over', async (t) => {
  const { page, field } = await fresh(t, 3)
  await type(page, 'a')
  await page.evaluate(() => {
    const field = document.activeElement as HTMLInputElement
    for (let i = 0; i < 2; i++)
      field.dispatchEvent(new KeyboardEvent('keydown', { key: 'b', code: 'KeyB', bubbles: true }))
  })
  t.same(await field.reasons(), ['lost'])
  await type(page, 'abc')
  t.equal(await field.completed(), 1)
})

t.test('keys that were down when it started over do not count for what comes after', async (t) => {
  const { page, field } = await fresh(t, 2)
  await page.keyboard.down('a')
  await page.keyboard.press('Backspace')
  await page.keyboard.press('c')
  await page.keyboard.up('a')
  await page.keyboard.press('d')
  const calls = await field.calls()
  t.match(calls, [
    ['restart', 'deleted'],
    ['complete', [{ press: 0 }, {}]],
  ])
})

t.test('it records in a textarea, and in fields that do not tell where their cursor is', async (t) => {
  for (const kind of ['textarea', 'email'] as const) {
    const { page, field } = await fresh(t, 2, kind)
    await type(page, 'ab')
    t.equal(await field.completed(), 1, kind)
  }
})

t.test('where events have no time of that clock the clock itself is asked', async (t) => {
  for (const timeStamp of [0, 1.7e12]) {
    const { page, field } = await fresh(t, 1)
    const held = await page.evaluate(async (timeStamp) => {
      const field = document.activeElement as HTMLInputElement
      const send = (type: string) => {
        const event = new KeyboardEvent(type, { key: 'a', code: 'KeyA', bubbles: true })
        Object.defineProperty(event, 'timeStamp', { value: timeStamp })
        field.dispatchEvent(event)
        return performance.now()
      }
      const before = performance.now()
      send('keydown')
      const down = performance.now()
      await new Promise((resolve) => setTimeout(resolve, 30))
      const up = performance.now()
      return [up - down, send('keyup') - before] as const
    }, timeStamp)
    const [[, [keystroke]]] = (await field.calls()) as [['complete', { press: number; release: number }[]]]
    t.equal(keystroke?.press, 0)
    const release = keystroke?.release ?? Number.NaN
    t.ok(release >= held[0] - 0.01 && release <= held[1] + 0.01, `${release} of ${held}`)
  }
})

t.test('the lines of the README record and send', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, lines = ''] = /```js\n(import \{ record \}[^`]*)```/.exec(readme) ?? []
  const { page } = await openDemo(t, browser, url)
  await page.evaluate(`(async () => {
    ${lines
      .replace(/import (\{ record \}) from '.*'/, "const $1 = await import('/demo/recorder.js')")
      .replace(/^/, "const field = document.body.appendChild(document.createElement('input'));")
      .replace(/^/, 'const send = (body) => { window.body = body };')}
    field.focus()
    window.field = field
  })()`)
  await type(page, 'abc')
  await page.keyboard.press('Backspace')
  t.equal(await page.evaluate('field.value'), '')
  await type(page, 'the quick fox')
  t.equal(await page.evaluate('window.body.keystrokes.length'), 13)
})

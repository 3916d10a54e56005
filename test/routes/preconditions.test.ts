import t from 'tap'
import { entityTag, isNotModified, requireMatch } from '../../src/routes/preconditions.js'

t.test('a write goes on where its preconditions hold', (t) => {
  for (const [headers, current] of [
    [{}, undefined],
    [{}, '7'],
    [{ 'if-match': entityTag('7') }, '7'],
    [{ 'if-match': '"6", "7"' }, '7'],
    [{ 'if-match': '"6","a,b" ,"7"' }, 'a,b'],
    [{ 'if-match': '*' }, '7'],
    [{ 'if-match': ' * ' }, '7'],
    [{ 'if-none-match': '*' }, undefined],
    [{ 'if-none-match': '"6"' }, '7'],
    [{ 'if-none-match': '"6"' }, undefined],
    [{ 'if-match': '"7"', 'if-none-match': '"6"' }, '7'],
  ] as const) {
    t.doesNotThrow(() => requireMatch({ headers }, current), `${JSON.stringify(headers)} of ${current}`)
  }
  t.end()
})

t.test('a write is refused where one does not hold, and told which', (t) => {
  for (const [headers, current, header] of [
    [{ 'if-match': '"6"' }, '7', 'If-Match'],
    [{ 'if-match': '"6"' }, undefined, 'If-Match'],
    [{ 'if-match': '*' }, undefined, 'If-Match'],
    [{ 'if-match': 'W/"7"' }, '7', 'If-Match'],
    [{ 'if-match': '7' }, '7', 'If-Match'],
    [{ 'if-match': '' }, '7', 'If-Match'],
    [{ 'if-none-match': '*' }, '7', 'If-None-Match'],
    [{ 'if-none-match': '"6", "7"' }, '7', 'If-None-Match'],
    [{ 'if-none-match': 'W/"7"' }, '7', 'If-None-Match'],
    [{ 'if-match': '"7"', 'if-none-match': '*' }, '7', 'If-None-Match'],
    [{ 'if-match': '"6"', 'if-none-match': '*' }, '7', 'If-Match'],
  ] as const) {
    t.throws(
      () => requireMatch({ headers }, current),
      {
        code: 'KSR_PRECONDITION_FAILED',
        statusCode: 412,
        message: `It is not, or no longer, what ${header} says.`,
      },
      `${JSON.stringify(headers)} of ${current}`,
    )
  }
  t.end()
})

t.test('whoever has the version that there is need not be sent it', (t) => {
  for (const [noneMatch, expected] of [
    [undefined, false],
    ['"6"', false],
    ['7', false],
    ['"7"', true],
    ['"6", W/"7"', true],
    ['*', true],
  ] as const) {
    const headers = noneMatch === undefined ? {} : { 'if-none-match': noneMatch }
    t.equal(isNotModified({ headers }, '7'), expected, noneMatch ?? 'no header')
  }
  t.end()
})

import t from 'tap'
import { build } from '../fixtures/build.js'

t.test('the root says what this is, and every link of it leads somewhere', async (t) => {
  const app = build(t)
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 200)
  const { name, version, links } = answer.json()
  t.same([name, typeof version], ['keystroke-recognition', 'string'])
  for (const link of Object.values<string>(links)) t.equal((await app.inject(link)).statusCode, 200, link)
})

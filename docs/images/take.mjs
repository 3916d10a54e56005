// Takes the pictures of the README: npm run screenshot. It types at the page at /demo of the built service, in Chromium.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const SIZE = { width: 1120, height: 600 }
/** A person's rhythm: how long each key is held, and when the next one follows; where that is sooner, they overlap. */
const HELD_MS = [96, 131, 121, 74, 102, 142, 118, 84, 109, 78, 98, 146, 91]
const NEXT_MS = [168, 98, 154, 187, 143, 104, 171, 139, 122, 206, 159, 112, 0]

const server = spawn(process.execPath, [at('../../dist/server.js')], {
  env: { ...process.env, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'info' },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})
try {
  const url = await listening()
  await take(url, 'light', 'demo.png')
  await take(url, 'dark', 'demo-dark.png')
} finally {
  await browser.close()
  server.kill()
  await once(server, 'exit')
}

async function listening() {
  for await (const line of createInterface({ input: server.stdout })) {
    const [, url] = /Server listening at (http:[^"]+)/.exec(line) ?? []
    if (url) return url
  }
  throw new Error('The service does not start.')
}

async function take(url, colorScheme, name) {
  const page = await browser.newPage({ viewport: SIZE, colorScheme })
  await page.goto(`${url}/demo`)
  await page.locator('#text:enabled').focus()
  await type(page, await page.locator('#sentence').innerText())
  await page.locator('#answer-title').waitFor()
  // What is below is not what they are about.
  const height = await page.locator('#own').evaluate((own) => own.offsetTop)
  const clip = { x: 0, y: 0, width: SIZE.width, height }
  await page.screenshot({ path: at(name), fullPage: true, clip })
  await page.close()
  console.log(`${name}: ${statSync(at(name)).size} bytes`)
}

async function type(page, text) {
  const moves = []
  let press = 0
  for (const [i, key] of [...text].entries()) {
    moves.push({ at: press, move: 'down', key }, { at: press + HELD_MS[i], move: 'up', key })
    press += NEXT_MS[i]
  }
  const begun = performance.now()
  for (const { at, move, key } of moves.sort((a, b) => a.at - b.at)) {
    await page.waitForTimeout(Math.max(0, at - (performance.now() - begun)))
    await page.keyboard[move](key)
  }
}

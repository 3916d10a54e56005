// Runs service.cjs from the code that V8 compiled of it when the image was made, where that is there and fits this
// V8; else V8 compiles it as it goes. Node's own compile cache would keep only what is compiled at loading, not the
// functions that are compiled when first called, and looks for the user id that made it.
const { readFileSync, writeFileSync } = require('node:fs')
const { wrap } = require('node:module')
const { join } = require('node:path')
const { setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')

const filename = join(__dirname, 'service.cjs')
const cache = join(__dirname, 'service.cache')

function readCache() {
  try {
    return readFileSync(cache)
  } catch {
    return undefined
  }
}

// Lambda starts Node with --expose-gc. V8 takes only code that was compiled under the same flags, and this one makes
// no difference to code.
setFlagsFromString('--no-expose-gc')
const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename, cachedData: readCache() })
const loaded = { exports: {} }
script.runInThisContext()(loaded.exports, require, loaded, filename, __dirname)

exports.service = loaded.exports
/** Whether V8 had to do without the code that was kept. */
exports.cold = script.cachedDataRejected !== false
/** Keeps what has been compiled by now, for the next start. */
exports.keepCode = () => writeFileSync(cache, script.createCachedData())

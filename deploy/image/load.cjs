// Runs service.cjs from the code that V8 compiled of it when the image was made, where that is there, whole, of this
// source and fits this V8; else V8 compiles it as it goes. Node's own compile cache would keep only what is compiled at
// loading, not the functions that are compiled when first called, and looks for the user id that made it.
const { createHash } = require('node:crypto')
const { readFileSync, writeFileSync } = require('node:fs')
const { wrap } = require('node:module')
const { join } = require('node:path')
const { setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')

const filename = join(__dirname, 'service.cjs')
const cache = join(__dirname, 'service.cache')
const source = readFileSync(filename)

// V8 itself compares no more than the length of the source, and trusts the code.
const seal = (code) => createHash('sha256').update(source).update(code).digest()

function readCode() {
  try {
    const kept = readFileSync(cache)
    const code = kept.subarray(32)
    return seal(code).equals(kept.subarray(0, 32)) ? code : undefined
  } catch {
    return undefined
  }
}

// Lambda starts Node with --expose-gc. V8 takes only code that was compiled under the same flags, and this one makes
// no difference to code.
setFlagsFromString('--no-expose-gc')
// The bundler escapes what is not ASCII.
const script = new Script(wrap(source.toString('latin1')), { filename, cachedData: readCode() })
const loaded = { exports: {} }
script.runInThisContext()(loaded.exports, require, loaded, filename, __dirname)

exports.service = loaded.exports.service
/** Whether V8 had to do without the code that was kept. */
exports.cold = script.cachedDataRejected !== false
/** Keeps what has been compiled by now, for the next start. */
exports.keepCode = () => {
  const code = script.createCachedData()
  writeFileSync(cache, Buffer.concat([seal(code), code]))
}

/** @throws where an option is no positive number, before anything is measured with it */
export function positive(options, name) {
  const value = Number(options[name])
  if (!(value > 0 && Number.isFinite(value)))
    throw new Error(`--${name} ${options[name]}: not a positive number`)
  return value
}

/** @throws where an option is no whole number from 1 on */
export function count(options, name) {
  const value = positive(options, name)
  if (!Number.isInteger(value)) throw new Error(`--${name} ${options[name]}: not a whole number`)
  return value
}

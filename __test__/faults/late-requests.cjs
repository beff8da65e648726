// Loaded before a program: its 1,200th HTTP request, and each after it, waits until nine seconds have passed.
const http = require('node:http')
const { syncBuiltinESMExports } = require('node:module')

const { request } = http
const until = performance.now() + 9_000
let made = 0
http.request = (...given) => {
  const call = request(...given)
  made++
  if (made >= 1_200 && performance.now() < until) {
    const { end } = call
    call.end = () => {
      setTimeout(() => end.call(call), until - performance.now())
      return call
    }
  }
  return call
}
syncBuiltinESMExports()

/*
 * What tests ask inside the page, as expressions. They run beside the page's own policy, so the page needs no door
 * for them.
 */

/** Collects what the page's policy has refused. Evaluated before the page's own code. */
export const COLLECT_VIOLATIONS = `
  window.violations = []
  document.addEventListener('securitypolicyviolation', (event) => {
    window.violations.push(event.violatedDirective + ' ' + event.blockedURI)
  })`

/** Texts whose contrast to what is behind them is too low, each with its ratio. */
export const LOW_CONTRAST = `(() => {
  const channel = (value) => {
    const part = value / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number)
    return { r, g, b, a }
  }
  const light = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
  const behind = (element) => {
    for (let one = element; one !== null; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor)
      if (color.a === 1) return color
    }
    return { r: 255, g: 255, b: 255 }
  }
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a)
    return (high + 0.05) / (low + 0.05)
  }
  const found = []
  const check = (element, color, least, text) => {
    const value = ratio(parse(color), behind(element))
    if (value < least) found.push(value.toFixed(2) + ' ' + text.slice(0, 40))
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  let count = 0
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    const text = walker.currentNode.textContent.trim()
    if (text === '' || element.closest('script, style, noscript, title, [hidden]') !== null) continue
    const style = getComputedStyle(element)
    const isLarge = parseFloat(style.fontSize) >= 24
    const color = element instanceof SVGElement ? style.fill : style.color
    check(element, color, isLarge ? 3 : 4.5, text)
    count++
  }
  for (const mark of document.querySelectorAll('#over-time .admitted-bars')) {
    check(mark, getComputedStyle(mark).fill, 3, 'admitted bars')
  }
  for (const mark of document.querySelectorAll('#over-time .denied-bars')) {
    check(mark, getComputedStyle(mark).stroke, 3, 'denied bars')
  }
  for (const control of document.querySelectorAll('button:not(.name), select, input:not([type])')) {
    check(control.parentElement, getComputedStyle(control).borderTopColor, 3, 'border')
  }
  return { count, found }
})()`

/** Elements that reach beyond the right edge. */
export const TOO_WIDE = `(() => {
  const edge = document.documentElement.clientWidth
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.closest('.unseen, .skip, thead, svg') === null)
    .filter((element) => element.getBoundingClientRect().right > edge + 0.5)
    .map((element) => element.tagName + '.' + element.className)
})()`

/** The element with the focus: its role or tag, its name, and whether it is seen to have the focus. */
export const FOCUSED = `(() => {
  const element = document.activeElement
  const shown = element.matches('.ranges input') ? element.nextElementSibling : element
  const { outlineStyle, outlineWidth } = getComputedStyle(shown)
  const name = element.getAttribute('aria-label')
    ?? element.labels?.[0]?.querySelector('span')?.textContent
    ?? element.labels?.[0]?.textContent ?? element.textContent
  const isSeen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
  return { tag: element.tagName.toLowerCase(), name: name.trim().slice(0, 60), isSeen }
})()`

/** The number that a tile shows. */
export function tile(term: string): string {
  return `Number([...document.querySelectorAll('.tiles dt')]
    .find((one) => one.textContent === '${term}')
    .nextElementSibling.firstElementChild.textContent.replaceAll(',', ''))`
}

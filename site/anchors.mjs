/** The anchor of a heading, as GitHub makes it: the same links work there and on the site. */
export function anchorOf(heading) {
  const text = heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
  return text.replaceAll(' ', '-')
}

/** Act when an element comes near what can be seen of the box that scrolls it. */
export const whenSeen = (act: () => void) => (node: HTMLElement) => {
  const observer = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && act(), {
    root: node.closest('.scroll'),
    rootMargin: '800px 0px',
  });
  observer.observe(node);
  return () => observer.disconnect();
};

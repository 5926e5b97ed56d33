// Buttons that show only an icon say their text when pointed at.
document.addEventListener("pointerover", (event) => {
  const button = event.target.closest?.("button.tool");
  if (button && !button.title) button.title = button.textContent.trim();
});

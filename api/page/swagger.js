// Starts Swagger UI on /schema, with the API key that the page keeps for this tab.

const SCRIPT = document.currentScript.src;

window.addEventListener("DOMContentLoaded", () => {
  window.SwaggerUIBundle({
    dom_id: "#swagger-ui",
    url: new URL("../schema", SCRIPT).href,
    validatorUrl: null, // or the document would be sent to another address
    requestInterceptor: (request) => {
      const key = sessionStorage.getItem("api-key");
      if (key) request.headers.Authorization ??= `Bearer ${key}`;
      return request;
    },
  });
});

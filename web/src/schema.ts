/** The API's page: Swagger UI over the server's own schema, with nothing from anywhere else. */
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';

SwaggerUI({
  dom_id: '#schema',
  url: '/schema/openapi.json',
  validatorUrl: null, // the default sends the schema to a validator on another host
  deepLinking: true,
});

curl -X POST http://127.0.0.1:8080/lock \
  -H "Content-Type: application/json" \
  -d '{
    "type": "pull",
    "resource_id": "sha256:test123",
    "node_id": "NODEA"
  }'

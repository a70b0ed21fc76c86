# ❌ 错误：缺少 type 字段
curl -X POST http://127.0.0.1:8080/unlock \
  -H "Content-Type: application/json" \
  -d '{
    "resource_id": "sha256:test123",
    "node_id": "NODEA",
    "success": true
  }'

# 1. 获取锁
curl -X POST http://127.0.0.1:8080/lock \
  -H "Content-Type: application/json" \
  -d '{
    "type": "pull",
    "resource_id": "sha256:test123",
    "node_id": "NODEA"
  }'

# 响应: {"acquired":true,"message":"成功获得锁","skip":false}

# 2. 释放锁（成功）
curl -X POST http://127.0.0.1:8080/unlock \
  -H "Content-Type: application/json" \
  -d '{
    "type": "pull",
    "resource_id": "sha256:test123",
    "node_id": "NODEA",
    "success": true
  }'

# 响应: {"released":true,"message":"成功释放锁"}

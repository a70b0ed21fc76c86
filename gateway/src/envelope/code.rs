//! The codes of these APIs, with what they mean for people.

use http::StatusCode;

/// A code: its number, its HTTP status, and its texts, in which `{0}` and `{1}` stand for what is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(super) number: u32,
    pub(super) status: StatusCode,
    pub(super) english: &'static str,
    pub(super) chinese: &'static str,
}

const fn code(number: u32, status: StatusCode, english: &'static str, chinese: &'static str) -> Code {
    Code { number, status, english, chinese }
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const MISSING: StatusCode = StatusCode::NOT_FOUND;

impl Code {
    pub(crate) const SYSTEM_ERROR: Code = code(
        250_102,
        StatusCode::INTERNAL_SERVER_ERROR,
        "System service is busy, please try again later",
        "系统繁忙，请稍后再试",
    );
    pub(crate) const PARAMETER_MISSING: Code = code(250_103, BAD, "Parameter [{0}] is missing", "参数[{0}]缺失");
    pub(crate) const PARAMETER_EMPTY: Code =
        code(250_104, BAD, "Parameter [{0}] should not be empty", "参数[{0}]不能为空");
    pub(crate) const PARAMETER_INVALID: Code = code(250_105, BAD, "Parameter [{0}] is invalid", "参数[{0}]无效");
    pub(crate) const REQUEST_CONTENT_INVALID: Code = code(250_106, BAD, "Invalid request content", "请求内容无效");
    pub(crate) const RESOURCE_NOT_FOUND: Code = code(250_108, BAD, "Resource [{0}] not found", "资源[{0}]不存在");
    pub(crate) const METHOD_NOT_ALLOWED: Code =
        code(250_112, BAD, "Method not allowed, reason: {0}", "不支持的操作, 原因: {0}");
    /// The same for a method of HTTP.
    pub(crate) const VERB_NOT_ALLOWED: Code =
        code(250_112, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed, reason: {0}", "不支持的操作, 原因: {0}");
    pub(crate) const REQUEST_DENIED: Code =
        code(250_113, StatusCode::FORBIDDEN, "Access denied: {0}", "访问被拒绝: {0}");
    /// The same for what the state does not allow.
    pub(crate) const DELETION_DENIED: Code = code(250_113, BAD, "Access denied: {0}", "访问被拒绝: {0}");
    pub(crate) const UNAUTHENTICATED: Code =
        code(250_114, StatusCode::UNAUTHORIZED, "Failed to authenticate: {0}", "认证失败: {0}");
    pub(crate) const URL_NOT_FOUND: Code = code(250_130, MISSING, "Request url[{0}] not found", "请求地址[{0}]不存在");
    pub(crate) const CLUSTER_CONNECT: Code =
        code(250_301, BAD, "remote cluster [{0}] connect error", "远程集群[{0}]连接失败");
    pub(crate) const CLUSTER_TLS: Code = code(250_302, BAD, "remote cluster ssl error", "远程集群SSL证书错误");
    pub(crate) const TASK_STATUS: Code = code(250_303, BAD, "task status invalid", "任务状态不正确");
    pub(crate) const TASK_DISABLED: Code = code(250_304, BAD, "task enables is false", "任务状态已停用");
    pub(crate) const CLUSTER_EXISTS: Code = code(250_305, BAD, "cluster node [{0}] is existed", "集群节点[{0}]已存在");
    pub(crate) const CLUSTER_NOT_FOUND: Code =
        code(250_306, BAD, "cluster node [{0}] is not found", "集群节点[{0}]不存在");
    pub(crate) const TASK_NOT_CHANGEABLE: Code = code(250_308, BAD, "task [{0}] disable update", "任务 [{0}] 禁止修改");
    pub(crate) const CENTER_EXISTS: Code = code(250_309, BAD, "cluster center node is existed", "集群中心节点已存在");
    pub(crate) const TASK_NOT_FOUND: Code = code(250_310, BAD, "replica task [{0}] not found", "任务[{0}]未找到");
    pub(crate) const DIGEST_MISMATCH: Code =
        code(251_003, BAD, "Failed to check artifact {0} digest", "校验构件{0}摘要失败");
    pub(crate) const PROJECT_NOT_FOUND: Code = code(251_004, MISSING, "Project [{0}] not found", "项目[{0}]不存在");
    pub(crate) const PROJECT_EXISTED: Code = code(251_005, BAD, "Project [{0}] existed", "项目[{0}]已存在");
    pub(crate) const REPOSITORY_NOT_FOUND: Code =
        code(251_006, MISSING, "Repository [{0}] not found", "仓库[{0}]不存在");
    pub(crate) const REPOSITORY_EXISTED: Code = code(251_007, BAD, "Repository [{0}] existed", "仓库[{0}]已存在");
    pub(crate) const REPOSITORY_NOT_EMPTY: Code =
        code(251_008, BAD, "Repository [{0}] contains artifacts", "仓库[{0}]中存在构件");
    pub(crate) const NODE_NOT_FOUND: Code = code(251_010, MISSING, "Node [{0}] not found", "节点[{0}]不存在");
    pub(crate) const NODE_EXISTED: Code = code(251_012, BAD, "Node [{0}] existed", "节点[{0}]已存在");
    pub(crate) const NODE_CONFLICT: Code = code(251_013, BAD, "Node [{0}] conflict", "已存在同名文件，且不允许覆盖");
    pub(crate) const PACKAGE_NOT_FOUND: Code = code(251_017, MISSING, "Package [{0}] not found", "制品包[{0}]不存在");
    /// Quirk: it was given one value only, so the place of the second one stays as it is.
    pub(crate) const VERSION_NOT_FOUND: Code =
        code(251_019, MISSING, "Package version [{0}-{1}] not found", "制品包版本[{0}]不存在");
}

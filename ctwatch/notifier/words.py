"""The one table of words: every text of ours that a person reads, in Korean and English."""

LANGUAGES = ("ko", "en")

_TABLE = {
    # what happened
    "event.StopLogging": ("CloudTrail 로깅 중지", "Stop CloudTrail logging"),
    "event.DeleteTrail": ("CloudTrail 추적 삭제", "Delete a CloudTrail trail"),
    "event.UpdateTrail": ("CloudTrail 추적 설정 변경", "Change a CloudTrail trail"),
    "event.PutEventSelectors": ("CloudTrail 이벤트 선택기 변경", "Change what CloudTrail records"),
    "unreadable": ("읽을 수 없는 이벤트", "Unreadable event"),
    # how it went
    "succeeded": ("성공", "SUCCEEDED"),
    "failed": ("실패한 시도", "FAILED ATTEMPT"),
    "denied": ("거부된 시도", "DENIED ATTEMPT"),
    "drill": ("훈련", "DRILL"),
    # how bad
    "low": ("낮음", "low"),
    "medium": ("보통", "medium"),
    "high": ("높음", "high"),
    "critical": ("심각", "critical"),
    # labels
    "event": ("이벤트", "Event"),
    "result": ("결과", "Result"),
    "severity": ("심각도", "Severity"),
    "trail": ("추적", "Trail"),
    "requested": ("요청 내용", "Requested"),
    "actor": ("행위자", "Actor"),
    "identity": ("자격 증명", "Identity"),
    "mfa": ("MFA", "MFA"),
    "ip": ("소스 IP", "Source IP"),
    "agent": ("사용자 에이전트", "User agent"),
    "time": ("발생 시각", "Time"),
    "region": ("리전", "Region"),
    "account": ("계정", "Account"),
    "mitre": ("MITRE ATT&CK", "MITRE ATT&CK"),
    "event_id": ("이벤트 ID", "Event ID"),
    "request_id": ("요청 ID", "Request ID"),
    "reason": ("이유", "Reason"),
    "excerpt": ("받은 내용(일부)", "What arrived (excerpt)"),
    # values
    "none": ("기록 없음", "not recorded"),
    "no_code": ("오류 코드 없음", "no error code"),
    "ours": ("우리 추적", "ours"),
    "not_ours": ("우리 추적 아님", "not ours"),
    "ours_unknown": ("우리 추적인지 알 수 없음", "cannot tell whether ours"),
    "yes": ("사용함", "yes"),
    "no": ("사용 안 함", "no"),
    "service": ("AWS 서비스", "an AWS service"),
    "issued_by": ("발급자", "issued by"),
    "of_account": ("계정", "of account"),
    "empty": ("비어 있음", "empty"),
    "no_json": ("JSON이 아닙니다.", "It is not JSON."),
    "no_record": ("CloudTrail 기록이 들어 있지 않습니다.", "There is no CloudTrail record in it."),
    # types of userIdentity
    "identity.Root": ("루트 사용자", "the root user"),
    "identity.IAMUser": ("IAM 사용자", "an IAM user"),
    "identity.AssumedRole": ("역할 세션", "a role session"),
    "identity.Role": ("IAM 역할", "an IAM role"),
    "identity.FederatedUser": ("페더레이션 사용자", "a federated user"),
    "identity.Directory": ("디렉터리 서비스", "a directory service"),
    "identity.AWSAccount": ("다른 AWS 계정", "another AWS account"),
    "identity.AWSService": ("AWS 서비스", "an AWS service"),
    "identity.IdentityCenterUser": ("IAM Identity Center 사용자", "an IAM Identity Center user"),
    "identity.SAMLUser": ("SAML 사용자", "a SAML user"),
    "identity.WebIdentityUser": ("웹 자격 증명 사용자", "a web identity user"),
    "identity.Unknown": ("CloudTrail이 알 수 없는 유형", "a type CloudTrail cannot tell"),
    # notes under the title
    "note_drill": (
        "훈련입니다: 존재하지 않는 추적에 대한 호출이 실패했고, 바뀐 것은 없습니다.",
        "A drill: a call on a trail that does not exist has failed, and nothing was changed.",
    ),
    "note_attempt": (
        "이 호출은 성공하지 못했습니다. 누가 왜 시도했는지 확인하세요.",
        "This call did not succeed. Find out who tried, and why.",
    ),
    "note_blinds": (
        "이 추적은 이제 쓰기 이벤트를 기록하지 않습니다. 다음 변조는 경보되지 않을 수 있습니다.",
        "This trail no longer records write events: the next tampering may raise no alert.",
    ),
    "note_account": (
        "이 감시의 계정이 아닌 다른 계정의 이벤트입니다. 위조되었을 수 있습니다.",
        "This event is of another account than this watch's. It may be forged.",
    ),
    "note_unreadable": (
        "감시 경로로 들어왔지만 읽을 수 없습니다. 내용을 믿지 말고 누가 보냈는지 확인하세요.",
        "It came by the watch's own path. Do not trust what it says; find out who sent it.",
    ),
}


def words(language: str) -> dict[str, str]:
    """The words of one of LANGUAGES."""
    column = LANGUAGES.index(language)
    return {key: row[column] for key, row in _TABLE.items()}

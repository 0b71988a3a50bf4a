namespace MultiAgent.Orchestrator.A2A;

/// <summary>A request that is answered with an error of JSON-RPC.</summary>
/// <param name="code">Of JSON-RPC or of the protocol; see <see cref="A2aErrors"/>.</param>
/// <param name="message">For the client; holds no secret.</param>
internal sealed class A2aException(int code, string message) : Exception(message)
{
    public int Code => code;
}

/// <summary>Codes of errors.</summary>
internal static class A2aErrors
{
    public const int Parse = -32700;
    public const int InvalidRequest = -32600;
    public const int MethodNotFound = -32601;
    public const int InvalidParams = -32602;
    public const int Internal = -32603;
    /// <summary>The platform refused, for a reason that the member <c>data.code</c> names.</summary>
    public const int Refused = -32000;
    public const int TaskNotFound = -32001;
    public const int TaskNotCancelable = -32002;
    public const int PushNotSupported = -32003;
    public const int UnsupportedOperation = -32004;
    public const int ContentTypeNotSupported = -32005;
    public const int NoExtendedCard = -32007;
    public const int VersionNotSupported = -32009;
}

using MultiAgent.Contracts;

namespace MultiAgent.Hosting.Errors;

/// <summary>
/// A request cannot be served; the message is for the client. For outcomes that a handler can return as a value prefer
/// <see cref="Problems"/>; this is for what is found deep inside.
/// </summary>
public sealed class ApiException(int status, string code, string message, string? param = null) : Exception(message)
{
    public int Status { get; } = status;

    /// <summary>One of <see cref="ErrorCodes"/>.</summary>
    public string Code { get; } = code;

    /// <summary>The member or parameter at fault.</summary>
    public string? Param { get; } = param;

    /// <summary>After how long the client may try again; sets <c>Retry-After</c>.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

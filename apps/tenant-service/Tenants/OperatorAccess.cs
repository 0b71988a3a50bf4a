using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using MultiAgent.Contracts;
using MultiAgent.Data;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Tenants.Tenants;

/// <summary>
/// The operator's token (<c>Operator:Token</c> or <c>MAAP_OPERATOR_TOKEN</c>, header <c>X-Operator-Token</c>). Without one
/// configured the operator's endpoints do not exist.
/// </summary>
internal sealed class OperatorAccess(IConfiguration configuration, TimeProvider time) : IEndpointFilter, IStartupTask
{
    private const int MinLength = 32;
    private const int AttemptsPerMinute = 30;

    private readonly byte[]? _hash = Token(configuration) is { } token ? HashOf(token) : null;
    private readonly AddressLimiter _wrong = new(AttemptsPerMinute, AttemptsPerMinute, time);

    public Task RunAsync(CancellationToken cancellationToken)
    {
        if (Token(configuration) is { Length: < MinLength } token)
            throw new StartupException($"The operator token (MAAP_OPERATOR_TOKEN or Operator:Token) has {token.Length} characters; use at least {MinLength}, or leave it out to switch the operator's endpoints off.");
        return Task.CompletedTask;
    }

    /// <summary>Owner of the operator's idempotency keys; null for a request without the right token, which the filter refuses.</summary>
    public string? OwnerOf(HttpContext http) => IsOperator(http) ? "operator" : null;

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        HttpContext http = context.HttpContext;
        if (_hash is null) throw new ApiException(404, ErrorCodes.UnknownUrl, $"There is nothing at {http.Request.Method} {http.Request.Path}.");
        if (IsOperator(http)) return await next(context);
        if (!_wrong.TryTake(http.Connection.RemoteIpAddress, out TimeSpan retryAfter))
            throw new ApiException(429, ErrorCodes.RateLimitExceeded, "Too many wrong operator tokens from this address.") { RetryAfter = retryAfter };
        throw new ApiException(401, ErrorCodes.InvalidCredentials, "The header 'X-Operator-Token' is missing or wrong.");
    }

    // Hashes are compared, so that neither the time nor the length of a guess tells anything.
    private bool IsOperator(HttpContext http) => _hash is not null && CryptographicOperations.FixedTimeEquals(HashOf(http.Request.Headers["X-Operator-Token"].ToString()), _hash);

    private static string? Token(IConfiguration configuration) =>
        configuration["MAAP_OPERATOR_TOKEN"] is { Length: > 0 } variable ? variable : configuration["Operator:Token"] is { Length: > 0 } setting ? setting : null;

    private static byte[] HashOf(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}

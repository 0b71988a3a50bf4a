using System.Text.Json.Serialization;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>Log-in with a password.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record LoginRequest
{
    public string? Email { get; init; }
    public string? Password { get; init; }
    /// <summary>The tenant's slug; needed only when the address belongs to several tenants.</summary>
    public string? Tenant { get; init; }
}

/// <summary>A refresh token, to be exchanged or ended.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RefreshRequest
{
    public string? RefreshToken { get; init; }
}

/// <summary>What a log-in gives.</summary>
/// <param name="AccessToken">Sent as <c>Authorization: Bearer</c>.</param>
/// <param name="TokenType">Always <c>Bearer</c>.</param>
/// <param name="ExpiresIn">Seconds that the access token is valid.</param>
/// <param name="RefreshToken">Good for one refresh.</param>
/// <param name="User">Who has logged in.</param>
internal sealed record TokenView(string AccessToken, string TokenType, int ExpiresIn, string RefreshToken, UserView User);

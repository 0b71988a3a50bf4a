using Microsoft.Extensions.Options;

namespace MultiAgent.Tenants.Auth;

/// <summary>Section <c>Auth</c>: log-in of people.</summary>
internal sealed class AuthOptions
{
    /// <summary>How long an access token is valid, in seconds. Default 900; 60 to 3 600.</summary>
    public int AccessTokenSeconds { get; set; } = 900;

    /// <summary>How long a refresh token is valid when it is not used, in days. Default 30; 1 to 365.</summary>
    public int RefreshTokenDays { get; set; } = 30;

    /// <summary>Attempts to log in per minute and client address. Default 30; at least 1.</summary>
    public int AttemptsPerMinute { get; set; } = 30;

    /// <summary>Attempts to log in that may come at once from one address. Default 30; at least 1.</summary>
    public int AttemptBurst { get; set; } = 30;

    public TimeSpan AccessTokenLifetime => TimeSpan.FromSeconds(AccessTokenSeconds);

    public TimeSpan RefreshTokenLifetime => TimeSpan.FromDays(RefreshTokenDays);
}

internal sealed class AuthOptionsValidator : IValidateOptions<AuthOptions>
{
    public ValidateOptionsResult Validate(string? name, AuthOptions options)
    {
        var errors = new List<string>();
        Between(options.AccessTokenSeconds, 60, 3600, nameof(options.AccessTokenSeconds));
        Between(options.RefreshTokenDays, 1, 365, nameof(options.RefreshTokenDays));
        Between(options.AttemptsPerMinute, 1, 1_000_000, nameof(options.AttemptsPerMinute));
        Between(options.AttemptBurst, 1, 1_000_000, nameof(options.AttemptBurst));
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

        void Between(int value, int least, int most, string key)
        {
            if (value < least || value > most) errors.Add($"Auth:{key} is {value}; set it between {least} and {most}.");
        }
    }
}

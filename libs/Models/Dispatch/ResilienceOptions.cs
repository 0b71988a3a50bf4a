using Microsoft.Extensions.Options;

namespace MultiAgent.Models.Dispatch;

/// <summary>Section <c>Models:Resilience</c>: what happens when a deployment does not answer.</summary>
public sealed class ResilienceOptions
{
    /// <summary>Attempts after the first at one model, before its fallbacks. Default 2; 0 to 10.</summary>
    public int MaxRetries { get; set; } = 2;

    /// <summary>First wait before a retry, milliseconds; doubles with each one, with jitter. Default 200; 0 to 60 000.</summary>
    public int BackoffMilliseconds { get; set; } = 200;

    /// <summary>
    /// Longest wait for a provider that says Retry-After, seconds; a provider that asks for more is left for the next deployment or
    /// fallback. Default 10; 0 to 300.
    /// </summary>
    public int MaxRetryAfterSeconds { get; set; } = 10;

    /// <summary>Failures in a row that open a deployment's circuit. Default 5; 1 to 1 000.</summary>
    public int BreakAfterFailures { get; set; } = 5;

    /// <summary>Seconds that a circuit stays open before one request may try. Default 15; 1 to 3 600.</summary>
    public int BreakSeconds { get; set; } = 15;
}

internal sealed class ResilienceValidator : IValidateOptions<ResilienceOptions>
{
    public ValidateOptionsResult Validate(string? name, ResilienceOptions options)
    {
        var errors = new List<string>();
        Within(options.MaxRetries, 0, 10, nameof(options.MaxRetries));
        Within(options.BackoffMilliseconds, 0, 60_000, nameof(options.BackoffMilliseconds));
        Within(options.MaxRetryAfterSeconds, 0, 300, nameof(options.MaxRetryAfterSeconds));
        Within(options.BreakAfterFailures, 1, 1000, nameof(options.BreakAfterFailures));
        Within(options.BreakSeconds, 1, 3600, nameof(options.BreakSeconds));
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

        void Within(int value, int least, int most, string key)
        {
            if (value < least || value > most) errors.Add($"Models:Resilience:{key} is {value}; set it between {least} and {most}.");
        }
    }
}

using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Checks what tenants say about endpoints.</summary>
internal sealed class WebhookChecks(IOptions<WebhookOptions> options)
{
    private const int MaxUrl = 2_048;

    /// <summary>What is wrong, by member; empty when nothing is.</summary>
    public Dictionary<string, string[]> Check(string? url, string? description, IReadOnlyList<string>? events, string? secret, string prefix = "")
    {
        var errors = new Dictionary<string, string[]>();
        if (url is null) errors[prefix + "url"] = ["is required."];
        else if (url.Length > MaxUrl || !Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0
            || !(uri.Scheme == Uri.UriSchemeHttps || (options.Value.AllowPrivateNetworks && uri.Scheme == Uri.UriSchemeHttp)))
            errors[prefix + "url"] = [options.Value.AllowPrivateNetworks ? "must be an http or https address without user and fragment." : "must be an https address without user and fragment."];
        if (description?.Length > 500) errors[prefix + "description"] = ["may have 500 characters."];
        if (events is { Count: 0 } || events?.Any(e => !WebhookEvents.All.Contains(e)) == true) errors[prefix + "events"] = [$"must be of {string.Join(", ", WebhookEvents.All)}."];
        if (secret is not null && !WebhookSecrets.IsValid(secret)) errors[prefix + "secret"] = ["must be 'whsec_' and the base64 of 24 to 64 bytes."];
        return errors;
    }
}

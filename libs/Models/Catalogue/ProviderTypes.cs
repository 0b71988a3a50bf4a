namespace MultiAgent.Models.Catalogue;

/// <summary>The types of providers, and what a provider's settings mean where they are left out.</summary>
internal static class ProviderTypes
{
    public const string OpenAi = "openai";
    public const string AzureOpenAi = "azure-openai";
    public const string Anthropic = "anthropic";
    public const string Local = "local";

    public static bool IsKnown(string type) => type is OpenAi or AzureOpenAi or Anthropic or Local;

    public static string TypeOf(string name, ProviderOptions options)
    {
        string type = (options.Type ?? name).ToLowerInvariant();
        return options.Type is not null || IsKnown(type) ? type : OpenAi;
    }

    /// <summary>The URL as configured or by default; null where there is no default. Not yet checked.</summary>
    public static string? BaseUrlOf(string name, ProviderOptions options) => options.BaseUrl ?? TypeOf(name, options) switch
    {
        // Only for the name itself: a forgotten URL of another provider must not send its key to OpenAI.
        OpenAi when name.Equals(OpenAi, StringComparison.OrdinalIgnoreCase) => "https://api.openai.com/v1",
        Anthropic => "https://api.anthropic.com",
        _ => null,
    };

    public static bool TryParseBaseUrl(string text, out Uri url)
    {
        bool valid = Uri.TryCreate(text.TrimEnd('/'), UriKind.Absolute, out Uri? parsed)
            && (parsed.Scheme == Uri.UriSchemeHttps || parsed.Scheme == Uri.UriSchemeHttp)
            && parsed.Host.Length > 0 && parsed.Query.Length == 0 && parsed.Fragment.Length == 0 && parsed.UserInfo.Length == 0;
        url = parsed!;
        return valid;
    }
}

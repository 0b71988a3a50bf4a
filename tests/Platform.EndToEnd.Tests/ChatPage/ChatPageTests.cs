using Microsoft.Playwright;

namespace MultiAgent.Platform.EndToEnd.Tests.ChatPage;

/// <summary>The chat page in Chromium, as a reader sees it.</summary>
[Collection(SharedProcess.Name)]
public sealed class ChatPageTests(RunningPlatform platform, ChatPageTests.Browser browser) : IClassFixture<ChatPageTests.Browser>, IAsyncDisposable
{
    private const float Patience = 20_000;

    private readonly List<string> _complaints = [];
    private IBrowserContext? _context;
    private IPage _page = null!;

    public sealed class Browser : IAsyncLifetime
    {
        private IPlaywright? _playwright;

        public IBrowser Chromium { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            string chromium = Needs.Program("chromium", "chromium-browser", "google-chrome");
            _playwright = await Playwright.CreateAsync();
            Chromium = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
            {
                ExecutablePath = chromium,
                Headless = true,
                Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
                Timeout = 60_000,
            });
        }

        public async ValueTask DisposeAsync()
        {
            if (Chromium is not null) await Chromium.CloseAsync();
            _playwright?.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_context is not null) await _context.CloseAsync();
    }

    [Fact]
    public async Task Page_WithAKeyInItsAddress_AnswersInStreamedMarkdown()
    {
        await OpenAsync($"/#key={PlatformEnvironment.Key}");
        await Assertions.Expect(_page.Locator("#agent")).ToBeEnabledAsync(Options());
        Assert.DoesNotContain("key=", _page.Url, StringComparison.Ordinal);
        Assert.Equal("Helper", await _page.Locator("#agent option[value=helper]").TextContentAsync());
        await _page.SelectOptionAsync("#agent", "helper");

        await AskAsync("What is 12 * (3 + 4)?");

        await Assertions.Expect(_page.Locator(".message.answer").First).ToContainTextAsync("84", Contains());
        await Assertions.Expect(_page.Locator("#stop")).ToBeHiddenAsync(Hidden());
        await AskAsync("And what is 6 * 7?");
        await Assertions.Expect(_page.Locator(".message.answer")).ToHaveCountAsync(2, new() { Timeout = Patience });
        await Assertions.Expect(_page.Locator(".message.answer").Nth(1)).ToContainTextAsync("42", Contains());
        Assert.Empty(_complaints);
    }

    [Fact]
    public async Task Page_WhileAnAnswerStreams_ShowsItAndStops()
    {
        await OpenAsync($"/#key={PlatformEnvironment.Key}");
        await Assertions.Expect(_page.Locator("#agent")).ToBeEnabledAsync(Options());
        await _page.SelectOptionAsync("#agent", "endless");
        await AskAsync("Go on");

        await Eventually.TrueAsync(() => platform.Provider.RequestsFor("endless").Count > 0, "the provider is asked");
        // Markdown is drawn while the text still comes.
        await Assertions.Expect(_page.Locator(".message.answer .parts strong").First).ToContainTextAsync("never", Contains());
        await Assertions.Expect(_page.Locator("#stop")).ToBeVisibleAsync(Visible());
        await _page.ClickAsync("#stop");

        await Assertions.Expect(_page.Locator("#stop")).ToBeHiddenAsync(Hidden());
        await Assertions.Expect(_page.Locator("#send")).ToBeVisibleAsync(Visible());
        await Eventually.TrueAsync(() => platform.Provider.Active == 0, "the provider is let go");
        Assert.Empty(_complaints);
    }

    [Fact]
    public async Task Page_WithMarkupInAMessage_ShowsItAsText()
    {
        await OpenAsync($"/#key={PlatformEnvironment.Key}");
        await Assertions.Expect(_page.Locator("#agent")).ToBeEnabledAsync(Options());
        await _page.SelectOptionAsync("#agent", "helper");
        await AskAsync("<img src=x onerror=alert(1)><script>alert(2)</script>");

        await Assertions.Expect(_page.Locator(".message.user .bubble")).ToContainTextAsync("<img src=x", Contains());
        await Assertions.Expect(_page.Locator("#stop")).ToBeHiddenAsync(Hidden());
        Assert.Equal(0, await _page.Locator("#messages img, #messages script").CountAsync());
        Assert.Empty(_complaints);
    }

    [Theory]
    [InlineData("maap_this-is-not-a-key-of-this-platform")]
    [InlineData(null)]
    public async Task Page_WithoutARightKey_AsksForOne(string? key)
    {
        await OpenAsync(key is null ? "/" : $"/#key={key}");
        await Assertions.Expect(_page.Locator("#key-dialog")).ToBeVisibleAsync(Visible());
        if (key is not null) await Assertions.Expect(_page.Locator("#key-error")).ToBeVisibleAsync(Visible());

        await _page.FillAsync("#key-input", PlatformEnvironment.Key);
        await _page.ClickAsync("#key-form button[type=submit]");

        await Assertions.Expect(_page.Locator("#agent")).ToBeEnabledAsync(Options());
        Assert.DoesNotContain(_complaints, c => !c.Contains("401", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Page_InDarkColours_IsDark()
    {
        await OpenAsync($"/#key={PlatformEnvironment.Key}", new() { ColorScheme = ColorScheme.Dark });
        double dark = await BrightnessAsync();
        await _page.ClickAsync("#theme");
        double light = await BrightnessAsync();

        Assert.True(dark < 80, $"The background of the dark page has brightness {dark}.");
        Assert.True(light > 180, $"The background of the light page has brightness {light}.");
        Assert.Empty(_complaints);
    }

    [Fact]
    public async Task Page_OnASmallPhone_DoesNotScrollSideways()
    {
        await OpenAsync($"/#key={PlatformEnvironment.Key}", new() { ViewportSize = new() { Width = 360, Height = 640 }, HasTouch = true, IsMobile = true });
        await Assertions.Expect(_page.Locator("#agent")).ToBeEnabledAsync(Options());
        await _page.SelectOptionAsync("#agent", "helper");
        await AskAsync("a-very-long-word-" + new string('x', 200));
        await Assertions.Expect(_page.Locator(".message.answer")).ToBeVisibleAsync(Visible());
        await Assertions.Expect(_page.Locator("#stop")).ToBeHiddenAsync(Hidden());

        Assert.True(await _page.EvaluateAsync<int>("document.documentElement.scrollWidth") <= 360);
        Assert.True(await _page.EvaluateAsync<bool>("[...document.querySelectorAll('#scroll, .bar, .composer')].every(e => e.scrollWidth <= e.clientWidth + 1)"), "A part of the page scrolls sideways.");
        Assert.True((await _page.Locator("#input").BoundingBoxAsync())!.Y < 640);
        Assert.Empty(_complaints);
    }

    private async Task OpenAsync(string address, BrowserNewContextOptions? options = null)
    {
        _context = await browser.Chromium.NewContextAsync(options ?? new());
        _page = await _context.NewPageAsync();
        // A policy that refuses something shows as an error on the console too.
        _page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") _complaints.Add(message.Text);
        };
        _page.PageError += (_, error) => _complaints.Add(error);
        _page.Dialog += async (_, dialog) =>
        {
            _complaints.Add($"dialog: {dialog.Message}");
            await dialog.DismissAsync();
        };
        await _page.GotoAsync(platform.Process.Url.AbsoluteUri.TrimEnd('/') + address, new() { Timeout = Patience });
    }

    private async Task AskAsync(string text)
    {
        await _page.FillAsync("#input", text);
        await Assertions.Expect(_page.Locator("#send")).ToBeEnabledAsync(Options());
        await _page.ClickAsync("#send");
    }

    private async Task<double> BrightnessAsync() => await _page.EvaluateAsync<double>("""
        () => {
          for (const element of [document.body, document.documentElement]) {
            const [r, g, b, a] = getComputedStyle(element).backgroundColor.match(/[\d.]+/g).map(Number);
            if (a !== 0) return 0.299 * r + 0.587 * g + 0.114 * b;
          }
          return 255;
        }
        """);

    private static LocatorAssertionsToBeEnabledOptions Options() => new() { Timeout = Patience };

    private static LocatorAssertionsToBeVisibleOptions Visible() => new() { Timeout = Patience };

    private static LocatorAssertionsToBeHiddenOptions Hidden() => new() { Timeout = Patience };

    private static LocatorAssertionsToContainTextOptions Contains() => new() { Timeout = Patience };
}
